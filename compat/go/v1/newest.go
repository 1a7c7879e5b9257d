//go:build !oldest

package main

import (
	"context"
	"net/url"
	"os"

	"golang.ngrok.com/ngrok"
	"golang.ngrok.com/ngrok/config"
)

func newerOptions(scenario string) ([]config.HTTPEndpointOption, error) {
	switch scenario {
	case "user-agent":
		return []config.HTTPEndpointOption{config.WithDenyUserAgentFilter("compat-bot.*")}, nil
	case "pooling":
		return []config.HTTPEndpointOption{config.WithPoolingEnabled(true)}, nil
	case "policy":
		return []config.HTTPEndpointOption{config.WithTrafficPolicy(env("POLICY"))}, nil
	}
	return nil, errUnsupported
}

func forward(ctx context.Context, session ngrok.Session, kind config.Tunnel, scheme, address string) (endpoint, error) {
	if os.Args[1] == "metadata" {
		// The other way sets what WithForwardsTo said to the address, which this scenario wants to read back.
		listener, err := session.Listen(ctx, kind)
		if err == nil {
			go serve(listener, address)
		}
		return listener, err
	}
	return session.ListenAndForward(ctx, &url.URL{Scheme: scheme, Host: address}, kind)
}
