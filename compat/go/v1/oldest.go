//go:build oldest

package main

import (
	"context"

	"golang.ngrok.com/ngrok"
	"golang.ngrok.com/ngrok/config"
)

func newerOptions(string) ([]config.HTTPEndpointOption, error) { return nil, errUnsupported }

func forward(ctx context.Context, session ngrok.Session, kind config.Tunnel, _, address string) (endpoint, error) {
	listener, err := session.Listen(ctx, kind)
	if err == nil {
		go serve(listener, address)
	}
	return listener, err
}
