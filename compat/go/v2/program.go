// The ngrok SDK for Go, versions 2, as a program of the compat suite (compat/README.md describes the protocol).
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.ngrok.com/ngrok/v2"
)

// Longest time for connecting and binding; the SDK retries for ever on its own.
const patience = 20 * time.Second

var errUnsupported = errors.New("this version has nothing for the scenario")

var output sync.Mutex

func say(event string, fields map[string]any) {
	line := map[string]any{"event": event}
	for key, value := range fields {
		line[key] = value
	}
	text, _ := json.Marshal(line)
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

func report(err error) {
	var refused ngrok.Error
	code := ""
	if errors.As(err, &refused) {
		code = refused.Code()
	}
	say("error", map[string]any{"code": code, "text": err.Error()})
}

func env(name string) string { return os.Getenv("COMPAT_" + name) }

func read(name string) []byte {
	content, err := os.ReadFile(env(name))
	if err != nil {
		panic(err)
	}
	return content
}

func newAgent() (ngrok.Agent, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read("CA"))
	connected := false
	return ngrok.NewAgent(
		ngrok.WithAgentConnectURL(env("CONNECT_ADDR")),
		ngrok.WithAgentConnectCAs(roots),
		ngrok.WithAuthtoken(env("AUTHTOKEN")),
		ngrok.WithAgentMetadata("compat-session"),
		ngrok.WithEventHandler(func(event ngrok.Event) {
			switch event := event.(type) {
			case *ngrok.EventAgentConnectSucceeded:
				connected = true
			case *ngrok.EventAgentDisconnected:
				// A refused login is tried again without end: this event is the only sign of it.
				if !connected && event.Error != nil {
					report(event.Error)
					os.Exit(0)
				}
			}
		}),
	)
}

// Sessions that do nothing, beside the first.
func idle(ctx context.Context) ([]ngrok.Agent, error) {
	var agents []ngrok.Agent
	for count, _ := strconv.Atoi(env("SESSIONS")); len(agents)+1 < count; {
		agent, err := newAgent()
		if err == nil {
			err = agent.Connect(ctx)
		}
		if err != nil {
			return nil, err
		}
		agents = append(agents, agent)
	}
	return agents, nil
}

func run(ctx context.Context, agent ngrok.Agent, scenario string) ([]ngrok.EndpointForwarder, error) {
	one := func(upstream *ngrok.Upstream, options ...ngrok.EndpointOption) ([]ngrok.EndpointForwarder, error) {
		bound, err := agent.Forward(ctx, upstream, options...)
		return []ngrok.EndpointForwarder{bound}, err
	}
	http := ngrok.WithUpstream("http://127.0.0.1:" + env("UPSTREAM_PORT"))
	tcp := func(port string, options ...ngrok.UpstreamOption) *ngrok.Upstream {
		return ngrok.WithUpstream("tcp://127.0.0.1:"+env(port), options...)
	}
	named := ngrok.WithURL("https://" + env("NAME"))
	switch scenario {
	case "http-random":
		return one(http)
	case "http-named":
		return one(http, named)
	case "http-plain":
		return one(http, ngrok.WithURL("http://"+env("NAME")))
	case "two-endpoints":
		first, err := one(http, named)
		if err != nil {
			return nil, err
		}
		second, err := one(http, ngrok.WithURL("https://"+env("NAME_2")))
		return append(first, second...), err
	case "tcp":
		return one(tcp("TCP_PORT"), ngrok.WithURL("tcp://"))
	case "proxy-proto-1":
		return one(tcp("TCP_PORT", ngrok.WithUpstreamProxyProto(ngrok.ProxyProtoV1)), ngrok.WithURL("tcp://"))
	case "proxy-proto-2":
		return one(tcp("TCP_PORT", ngrok.WithUpstreamProxyProto(ngrok.ProxyProtoV2)), ngrok.WithURL("tcp://"))
	case "tls":
		return one(tcp("TLS_PORT"), ngrok.WithURL("tls://"+env("NAME")))
	case "tls-agent":
		pair, err := tls.X509KeyPair(read("CERT"), read("KEY"))
		if err != nil {
			return nil, err
		}
		own := ngrok.WithAgentTLSTermination(&tls.Config{Certificates: []tls.Certificate{pair}})
		return one(tcp("UPSTREAM_PORT"), ngrok.WithURL("tls://"+env("NAME")), own)
	case "metadata":
		return one(http, named, ngrok.WithMetadata("compat-endpoint"), ngrok.WithDescription("compat suite"))
	case "pooling":
		return one(http, named, ngrok.WithPoolingEnabled(true))
	case "policy":
		return one(http, named, ngrok.WithTrafficPolicy(env("POLICY")))
	}
	return nil, errUnsupported
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Not a deadline of the context: it would end the session as well.
	impatience := time.AfterFunc(patience, cancel)
	agent, err := newAgent()
	if err == nil {
		err = agent.Connect(ctx)
	}
	var agents []ngrok.Agent
	if err == nil {
		agents, err = idle(ctx)
	}
	if err != nil {
		report(err)
		return
	}
	say("connected", map[string]any{"sessions": 1 + len(agents)})
	bound, err := run(ctx, agent, os.Args[1])
	if errors.Is(err, errUnsupported) {
		say("unsupported", map[string]any{"text": err.Error()})
		return
	} else if err != nil {
		report(err)
		return
	}
	impatience.Stop()
	for _, each := range bound {
		say("bound", map[string]any{"url": each.URL().String(), "id": each.ID(), "metadata": each.Metadata()})
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "close" {
			bound[0].Close()
			say("closed", map[string]any{"what": "endpoint"})
		}
	}
	for _, each := range bound {
		each.Close()
	}
	for _, each := range append(agents, agent) {
		each.Disconnect()
	}
	say("closed", map[string]any{"what": "session"})
}
