// The ngrok SDK for Java as a program of the compat suite (compat/README.md describes the protocol).

import com.ngrok.Forwarder;
import com.ngrok.Http;
import com.ngrok.HttpBuilder;
import com.ngrok.ListenerInfo;
import com.ngrok.NgrokException;
import com.ngrok.ProxyProto;
import com.ngrok.Session;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

public final class Program {
    private static final class Unsupported extends Exception {}

    private static String env(String name) {
        String value = System.getenv("COMPAT_" + name);
        return value == null ? "" : value;
    }

    private static byte[] read(String name) throws IOException {
        return Files.readAllBytes(Path.of(env(name)));
    }

    private static String text(String value) {
        if (value == null) return "null";
        String escaped = value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\r", "\\r");
        return "\"" + escaped + "\"";
    }

    /** Prints an event with pairs of names and texts. */
    private static void say(String event, String... fields) {
        StringBuilder line = new StringBuilder("{\"event\":" + text(event));
        for (int at = 0; at < fields.length; at += 2) {
            line.append(",").append(text(fields[at])).append(":").append(text(fields[at + 1]));
        }
        System.out.println(line.append("}"));
        System.out.flush();
    }

    private static void report(Exception error) {
        String code = error instanceof NgrokException ? ((NgrokException) error).getCode() : "";
        String details = error instanceof NgrokException ? ((NgrokException) error).getDetails() : "";
        say("error", "code", code == null ? "" : code, "text", error.getMessage() + "\n" + details);
    }

    private static URL local(String port) throws IOException {
        return new URL("http://127.0.0.1:" + env(port));
    }

    private static Forwarder http(Session session, String scenario) throws IOException, Unsupported {
        HttpBuilder builder = session.httpEndpoint();
        if (!scenario.equals("http-random")) builder.domain(env("NAME"));
        switch (scenario) {
            case "http-random", "http-named" -> {}
            case "http-plain" -> builder.scheme(Http.Scheme.HTTP);
            case "metadata" -> builder.metadata("compat-endpoint");
            case "basic-auth" -> builder.basicAuthOptions(new Http.BasicAuth("compat", "correct-horse"));
            case "compression" -> builder.compression();
            case "headers" -> builder.addRequestHeader("X-Compat-Added", "yes")
                .removeRequestHeader("X-Compat-Secret")
                .addResponseHeader("X-Compat-Answer", "yes")
                .removeResponseHeader("X-Upstream");
            case "ip-allow" -> builder.allowCIDR("127.0.0.0/8");
            case "ip-deny" -> builder.denyCIDR("127.0.0.0/8");
            case "circuit-breaker" -> builder.circuitBreaker(0.1);
            case "webhook" -> builder.webhookVerification(new Http.WebhookVerification("github", "compat-secret"));
            case "websocket-tcp" -> builder.websocketTcpConversion();
            case "mutual-tls" -> builder.mutualTLSCA(read("CLIENT_CA"));
            case "oauth" -> builder.oauthOptions(new Http.OAuth("google"));
            case "oidc" -> builder.oidcOptions(new Http.OIDC("https://issuer.example", "id", "secret"));
            case "policy" -> builder.policy(env("POLICY"));
            default -> throw new Unsupported();
        }
        return session.forwardHttp(builder, local("UPSTREAM_PORT"));
    }

    private static List<Forwarder> run(Session session, String scenario) throws IOException, Unsupported {
        List<Forwarder> bound = new ArrayList<>();
        switch (scenario) {
            case "two-endpoints" -> {
                bound.add(http(session, "http-named"));
                HttpBuilder second = session.httpEndpoint().domain(env("NAME_2"));
                bound.add(session.forwardHttp(second, local("UPSTREAM_PORT")));
            }
            case "tcp" -> bound.add(session.forwardTcp(session.tcpEndpoint(), local("TCP_PORT")));
            case "proxy-proto-1", "proxy-proto-2" -> {
                ProxyProto version = scenario.endsWith("1") ? ProxyProto.V1 : ProxyProto.V2;
                bound.add(session.forwardTcp(session.tcpEndpoint().proxyProto(version), local("TCP_PORT")));
            }
            case "tls" -> bound.add(session.forwardTls(session.tlsEndpoint().domain(env("NAME")), local("TLS_PORT")));
            case "tls-edge" -> {
                var builder = session.tlsEndpoint().domain(env("NAME")).termination(read("CERT"), read("KEY"));
                bound.add(session.forwardTls(builder, local("UPSTREAM_PORT")));
            }
            case "labels" -> bound.add(session.forwardEdge(session.edge().label("edge", "compat"), local("UPSTREAM_PORT")));
            default -> bound.add(http(session, scenario));
        }
        return bound;
    }

    public static void main(String[] arguments) throws Exception {
        Session session;
        List<Forwarder> bound;
        try {
            session = Session.withAuthtoken(env("AUTHTOKEN"))
                .serverAddr(env("CONNECT_ADDR"))
                .caCert(read("CA"))
                .metadata("compat-session")
                .connect();
            say("connected");
            bound = run(session, arguments[0]);
        } catch (Unsupported none) {
            say("unsupported", "text", arguments[0]);
            return;
        } catch (IOException error) {
            report(error);
            System.exit(0);
            return;
        }
        for (Forwarder each : bound) {
            String url = each instanceof ListenerInfo.Endpoint ? ((ListenerInfo.Endpoint) each).getUrl() : null;
            say("bound", "url", url, "id", each.getId(), "metadata", each.getMetadata(), "forwards_to", null);
        }
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.trim().equals("close")) {
                bound.get(0).close();
                say("closed", "what", "endpoint");
            }
        }
        for (Forwarder each : bound) each.close();
        session.close();
        say("closed", "what", "session");
        System.exit(0);
    }
}
