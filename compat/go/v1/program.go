// The ngrok SDK for Go, versions 1, as a program of the compat suite (compat/README.md describes the protocol).
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.ngrok.com/ngrok"
	"golang.ngrok.com/ngrok/config"
)

// Longest time for connecting and binding; the SDK retries for ever on its own.
const patience = 20 * time.Second

var errUnsupported = errors.New("this version has nothing for the scenario")

// What a listener and a forwarder have in common.
type endpoint interface {
	Close() error
	ForwardsTo() string
	ID() string
	Metadata() string
	URL() string
}

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
		code = refused.ErrorCode()
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

func connect(ctx context.Context) (ngrok.Session, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read("CA"))
	connected := false
	return ngrok.Connect(ctx,
		ngrok.WithServer(env("CONNECT_ADDR")),
		ngrok.WithCA(roots),
		ngrok.WithAuthtoken(env("AUTHTOKEN")),
		ngrok.WithMetadata("compat-session"),
		ngrok.WithConnectHandler(func(context.Context, ngrok.Session) { connected = true }),
		ngrok.WithDisconnectHandler(func(_ context.Context, _ ngrok.Session, err error) {
			// A refused login is tried again without end: this handler is the only one to be told.
			if !connected && err != nil {
				report(err)
				os.Exit(0)
			}
		}),
	)
}

func clientCA() []*x509.Certificate {
	block, _ := pem.Decode(read("CLIENT_CA"))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	return []*x509.Certificate{certificate}
}

// HTTP options by scenario; versions that differ have theirs in files of their own.
func httpOptions(scenario string) ([]config.HTTPEndpointOption, error) {
	options := []config.HTTPEndpointOption{config.WithDomain(env("NAME"))}
	add := func(more ...config.HTTPEndpointOption) { options = append(options, more...) }
	switch scenario {
	case "http-named":
	case "http-plain":
		add(config.WithScheme(config.SchemeHTTP))
	case "metadata":
		add(config.WithMetadata("compat-endpoint"), config.WithForwardsTo("compat-upstream"))
	case "basic-auth":
		add(config.WithBasicAuth("compat", "correct-horse"))
	case "compression":
		add(config.WithCompression())
	case "headers":
		add(config.WithRequestHeader("X-Compat-Added", "yes"), config.WithRemoveRequestHeader("X-Compat-Secret"),
			config.WithResponseHeader("X-Compat-Answer", "yes"), config.WithRemoveResponseHeader("X-Upstream"))
	case "ip-allow":
		add(config.WithAllowCIDRString("127.0.0.0/8"))
	case "ip-deny":
		add(config.WithDenyCIDRString("127.0.0.0/8"))
	case "circuit-breaker":
		add(config.WithCircuitBreaker(0.1))
	case "webhook":
		add(config.WithWebhookVerification("github", "compat-secret"))
	case "websocket-tcp":
		add(config.WithWebsocketTCPConversion())
	case "mutual-tls":
		add(config.WithMutualTLSCA(clientCA()...))
	case "oauth":
		add(config.WithOAuth("google"))
	case "oidc":
		add(config.WithOIDC("https://issuer.example", "id", "secret"))
	default:
		more, err := newerOptions(scenario)
		return append(options, more...), err
	}
	return options, nil
}

func run(ctx context.Context, session ngrok.Session, scenario string) ([]endpoint, error) {
	one := func(kind config.Tunnel, scheme, port string) ([]endpoint, error) {
		bound, err := forward(ctx, session, kind, scheme, "127.0.0.1:"+env(port))
		return []endpoint{bound}, err
	}
	switch scenario {
	case "http-random":
		return one(config.HTTPEndpoint(), "http", "UPSTREAM_PORT")
	case "two-endpoints":
		first, err := one(config.HTTPEndpoint(config.WithDomain(env("NAME"))), "http", "UPSTREAM_PORT")
		if err != nil {
			return nil, err
		}
		second, err := one(config.HTTPEndpoint(config.WithDomain(env("NAME_2"))), "http", "UPSTREAM_PORT")
		return append(first, second...), err
	case "tcp":
		return one(config.TCPEndpoint(), "tcp", "TCP_PORT")
	case "proxy-proto-1":
		return one(config.TCPEndpoint(config.WithProxyProto(config.ProxyProtoV1)), "tcp", "TCP_PORT")
	case "proxy-proto-2":
		return one(config.TCPEndpoint(config.WithProxyProto(config.ProxyProtoV2)), "tcp", "TCP_PORT")
	case "tls":
		return one(config.TLSEndpoint(config.WithDomain(env("NAME"))), "tcp", "TLS_PORT")
	case "tls-edge":
		own := config.WithTermination(read("CERT"), read("KEY"))
		return one(config.TLSEndpoint(config.WithDomain(env("NAME")), own), "tcp", "UPSTREAM_PORT")
	case "labels":
		return one(config.LabeledTunnel(config.WithLabel("edge", "compat")), "http", "UPSTREAM_PORT")
	}
	options, err := httpOptions(scenario)
	if err != nil {
		return nil, err
	}
	return one(config.HTTPEndpoint(options...), "http", "UPSTREAM_PORT")
}

// Copies what a listener accepts to an address, as applications of the time did themselves.
func serve(listener net.Listener, address string) {
	for {
		visitor, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer visitor.Close()
			upstream, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer upstream.Close()
			go func() {
				io.Copy(upstream, visitor)
				upstream.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(visitor, upstream)
		}()
	}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Not a deadline of the context: it would end the session as well.
	impatience := time.AfterFunc(patience, cancel)
	session, err := connect(ctx)
	if err != nil {
		report(err)
		return
	}
	say("connected", nil)
	bound, err := run(ctx, session, os.Args[1])
	if errors.Is(err, errUnsupported) {
		say("unsupported", map[string]any{"text": err.Error()})
		return
	} else if err != nil {
		report(err)
		return
	}
	impatience.Stop()
	for _, each := range bound {
		say("bound", map[string]any{
			"url": each.URL(), "id": each.ID(), "metadata": each.Metadata(), "forwards_to": each.ForwardsTo(),
		})
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
	session.Close()
	say("closed", map[string]any{"what": "session"})
}
