//! The catalogue itself, sorted by number.

use crate::Code;

/// One line of the catalogue.
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! catalogue {
    ($($name:ident $number:literal $status:literal $title:literal $text:literal;)+) => {
        pub(crate) const ENTRIES: &[Entry] = &[$(
            Entry { number: $number, name: stringify!($name), status: $status, title: $title, text: $text },
        )+];

        impl Code {
            $(
                #[doc = concat!($title, " (HTTP ", $status, ").")]
                pub const $name: Code = Code::new($number);
            )+

            /// Every code, by number.
            pub const ALL: &[Code] = &[$(Code::$name),+];
        }
    };
}

catalogue! {
    // Sessions of agents.
    ERR_NGROK_100 100 400 "Session metadata too long"
        "The metadata of the session is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_105 105 401 "Authtoken malformed"
        "The authtoken does not have the form of an authtoken. Copy the whole token again, without quotes or spaces around it.";
    ERR_NGROK_106 106 401 "Authtoken of an old kind"
        "The authtoken belongs to a version of the protocol that is no longer served. Create a new authtoken and use that.";
    ERR_NGROK_107 107 401 "Authtoken not valid"
        "The authtoken is well formed, but this installation does not know it. It may have been revoked or replaced, or belong to another installation. Create a new one, or check which server the agent connects to.";
    ERR_NGROK_108 108 429 "Too many agent sessions"
        "The account already has as many agent sessions online as it may have. Stop an agent that is no longer needed, or ask the operator for a higher limit.";
    ERR_NGROK_109 109 400 "Authentication message not valid"
        "The agent's first message could not be understood. Update the agent; if it is the newest one, report a fault with its version.";
    ERR_NGROK_111 111 400 "Heartbeat interval not valid"
        "The heartbeat interval that the agent asks for is outside the allowed range. Leave the setting at its default.";
    ERR_NGROK_112 112 400 "Heartbeat tolerance not valid"
        "The heartbeat tolerance that the agent asks for is outside the allowed range. Leave the setting at its default.";
    ERR_NGROK_115 115 403 "Agent address not allowed"
        "The account restricts the addresses that agents may connect from, and this one is not among them. Connect from an allowed network, or have the restriction changed.";
    ERR_NGROK_116 116 403 "Credential not allowed from this address"
        "The authtoken may be used from certain addresses only, and this one is not among them. Use another authtoken, or have its rules changed.";
    ERR_NGROK_118 118 403 "Account not served at this connect URL"
        "The connect URL that the agent dialled is reserved for certain accounts, and this account is not among them. Use the connect URL of this account.";
    ERR_NGROK_119 119 400 "Agent version not readable"
        "The version that the agent reports is not a version number. Update the agent.";
    ERR_NGROK_120 120 400 "Protocol version not served"
        "The agent speaks a version of the protocol that this server does not serve. Update the agent, or the server if the agent is newer.";
    ERR_NGROK_121 121 400 "Agent too old"
        "The agent is older than the oldest version that this server accepts. Update the agent.";
    ERR_NGROK_122 122 403 "Connect URL belongs to another account"
        "The connect URL that the agent dialled belongs to another account. Use the connect URL of this account.";
    ERR_NGROK_126 126 403 "Wrong address for this connect URL"
        "The agent reached this connect URL over an address that does not belong to it. Check the DNS records of the connect URL.";
    ERR_NGROK_127 127 403 "Connect address not allowed"
        "The account may not connect to this address. Use the connect URL of this account.";
    // Endpoints of agents.
    ERR_NGROK_300 300 401 "Credential revoked"
        "The authtoken of this session was revoked while the agent was connected. Create a new authtoken and start the agent with it.";
    ERR_NGROK_301 301 400 "Bind message not valid"
        "The agent's request for an endpoint could not be understood, or asks for an option that this server does not have. Check the endpoint's settings, and update the agent.";
    ERR_NGROK_307 307 404 "TCP address not reserved"
        "The server does not serve this TCP address. Use its own TCP host with a port of its range, or ask for any address with tcp://.";
    ERR_NGROK_308 308 403 "TCP address not allowed by the credential"
        "The access rules of the authtoken do not permit this TCP address. Use another authtoken, or add a bind rule for the address.";
    ERR_NGROK_309 309 403 "TCP address of another account"
        "Another account has the TCP address. Choose another one, or ask for any address with tcp://.";
    ERR_NGROK_314 314 403 "Custom host names not available"
        "The account may not use host names outside the base domain. Use a name below the base domain.";
    ERR_NGROK_316 316 403 "Name not allowed by the credential"
        "The access rules of the authtoken do not permit this name. Use another authtoken, or add a bind rule for the name.";
    ERR_NGROK_318 318 404 "Wildcard name not reserved"
        "The wildcard name is not reserved for this account. Reserve exactly this wildcard first.";
    ERR_NGROK_319 319 404 "Name not reserved"
        "The installation serves no names outside its base domain. Use a name below the base domain, or ask the operator to allow others (domain_policy).";
    ERR_NGROK_320 320 403 "Name of another account"
        "The host name belongs to another account. Choose another name.";
    ERR_NGROK_321 321 403 "Wildcard must be reserved exactly"
        "A wildcard endpoint needs a reservation of the very same wildcard; a reservation of a larger one is not enough. Reserve it first.";
    ERR_NGROK_324 324 429 "Too many endpoints in the session"
        "The session already serves as many endpoints as a session may. Close one, or spread the endpoints over several agents.";
    ERR_NGROK_326 326 400 "Host name not valid"
        "The host name cannot be used. Names consist of labels of letters, digits and hyphens, separated by dots, 253 characters at most.";
    ERR_NGROK_327 327 400 "Host name has a forbidden character"
        "The host name contains a character that names cannot have. Allowed are letters, digits, hyphens, underscores and dots.";
    ERR_NGROK_328 328 400 "Host name too long"
        "The host name is longer than 253 characters, or one of its labels is longer than 63. Choose a shorter one.";
    ERR_NGROK_329 329 400 "Wildcard in the wrong place"
        "An asterisk may stand only as the whole first label of a name, as in *.example.com. Change the name.";
    ERR_NGROK_330 330 400 "Host name is an IP address"
        "An endpoint needs a host name, not an IP address. Use a name below the base domain or a reserved domain.";
    ERR_NGROK_331 331 400 "Host name has an empty label"
        "The host name begins with a dot or has two dots in a row. Remove the surplus dot.";
    ERR_NGROK_332 332 400 "Protocol not supported"
        "Endpoints of this protocol are not served. Use http, https, tcp or tls.";
    ERR_NGROK_333 333 404 "Endpoint unknown in this session"
        "The session has no such endpoint; it may be closed already. Nothing needs to be done.";
    ERR_NGROK_334 334 409 "Endpoint already online"
        "Another agent already serves this URL. Stop that agent, or choose another URL.";
    ERR_NGROK_335 335 400 "Bind token not valid"
        "The token with which the agent wants to take its endpoint back is damaged. Restart the agent.";
    ERR_NGROK_347 347 400 "Host name reserved by the installation"
        "The host name is used by the installation itself and cannot be an endpoint. Choose another name.";
    ERR_NGROK_350 350 429 "Endpoints asked for too fast"
        "The account asks for endpoints faster than it may. Wait a minute, and look for an agent that restarts in a loop.";
    ERR_NGROK_351 351 429 "Too many endpoints online"
        "The account already has as many endpoints online as it may have. Close one that is no longer needed, or ask the operator for a higher limit.";
    ERR_NGROK_354 354 404 "Nested name not reserved"
        "A name of several labels below the base domain must be reserved first. Reserve it, or use a single label.";
    ERR_NGROK_355 355 400 "Host name has forbidden parts"
        "A label of the host name begins or ends with a hyphen, or is not a valid internationalised label. Change the name.";
    ERR_NGROK_356 356 403 "Random TCP address not allowed by the credential"
        "The access rules of the authtoken do not permit an address that the server chooses. Ask for an address that a rule names, or use another authtoken.";
    ERR_NGROK_358 358 400 "Labelled endpoints not available"
        "Endpoints addressed by labels are not served. Ask for the endpoint by its URL.";
    ERR_NGROK_359 359 400 "Basic-auth user name too long"
        "A user name for basic authentication is too long. Shorten it.";
    ERR_NGROK_360 360 400 "Basic-auth password length"
        "A password for basic authentication must have 8 to 128 characters. Change it.";
    ERR_NGROK_361 361 400 "Circuit-breaker value out of range"
        "The error ratio of the circuit breaker must lie between 0 and 1. Change it.";
    ERR_NGROK_362 362 400 "Address range not valid"
        "A network in the list of addresses is none. Write it in CIDR notation, as in 203.0.113.0/24.";
    ERR_NGROK_368 368 400 "Too many OAuth scopes"
        "More OAuth scopes are listed than allowed. Remove some.";
    ERR_NGROK_399 399 403 "Label not allowed by the credential"
        "The access rules of the authtoken do not permit this label. Use another authtoken, or add a bind rule for the label.";
    // Resources.
    ERR_NGROK_600 600 400 "Access rule not valid"
        "An access rule cannot be understood. A rule is an asterisk alone, or bind: followed by a name, a wildcard name, host:port, or key=value.";
    // Rates and life cycle.
    ERR_NGROK_702 702 429 "Too many connections"
        "The account gets more connections a minute than it may. Wait a minute, or ask the operator for a higher limit.";
    ERR_NGROK_703 703 429 "Too many requests"
        "The account gets more HTTP requests a minute than it may. Wait a minute, or ask the operator for a higher limit.";
    ERR_NGROK_802 802 500 "Internal error"
        "The server failed for a reason of its own. Try again; if it goes on, the operator finds the cause in the server's log.";
    ERR_NGROK_803 803 503 "Server shutting down"
        "The server is shutting down or restarting. The agent connects again by itself.";
    ERR_NGROK_804 804 501 "Remote stop not supported"
        "The agent cannot be stopped from here. Stop it where it runs.";
    ERR_NGROK_805 805 501 "Remote restart not supported"
        "The agent cannot be restarted from here. Restart it where it runs.";
    ERR_NGROK_806 806 501 "Remote update not supported"
        "The agent cannot be updated from here. Update it where it runs.";
    ERR_NGROK_807 807 502 "Remote command failed"
        "The agent was told to stop, restart or update itself, and did not. The message says what it answered; try again, or do it where the agent runs.";
    // The SSH front.
    ERR_NGROK_1100 1100 401 "No SSH key sent"
        "The SSH client offered no key, and no authtoken was given. Load a key that is registered with the account, or write the authtoken in front of the host as in ssh v2+AUTHTOKEN@HOST.";
    ERR_NGROK_1101 1101 401 "Too many SSH keys tried"
        "The SSH client tried more keys than a connection may try before the login. Name the right one with -i FILE -o IdentitiesOnly=yes.";
    ERR_NGROK_1102 1102 401 "SSH key not known"
        "No account of this installation knows the SSH key. Register its public half with the account, or choose another key with -i FILE.";
    ERR_NGROK_1103 1103 403 "SSH not available"
        "The account may not use the SSH front. Use the agent, or ask the operator.";
    ERR_NGROK_1104 1104 400 "SSH connection multiplexing not supported"
        "The SSH connection already serves one command. Start another connection, with -o ControlPath=none when the client shares connections by default.";
    ERR_NGROK_1105 1105 400 "Too many port forwards"
        "The SSH connection asks for more port forwards than one command can serve. Leave some -R options out, or start another connection for them.";
    ERR_NGROK_1106 1106 400 "Version of the command syntax not known"
        "The SSH user name asks for a version of the command syntax that is not served. Write v2 in front of the host, or nothing.";
    ERR_NGROK_1107 1107 400 "No command"
        "The SSH connection came without a command. Write http, tls or tcp after the host.";
    ERR_NGROK_1108 1108 400 "Command not known"
        "The SSH command is not known. It must be http, tls or tcp.";
    ERR_NGROK_1109 1109 400 "Flag not supported"
        "A flag of the SSH command is not supported. The flag --help lists those that are.";
    ERR_NGROK_1110 1110 400 "Command not readable"
        "The SSH command could not be split into words. Look for a quote that is not closed.";
    ERR_NGROK_1111 1111 408 "No command in time"
        "The SSH client logged in and started no command. Leave the option -N out and write http, tls or tcp after the host.";
    ERR_NGROK_1112 1112 408 "No port forward in time"
        "The SSH client asked for no port forward. Add one, for example -R 443:localhost:8080.";
    ERR_NGROK_1113 1113 400 "Port not usable with this command"
        "The port of the -R option does not fit the command. Use 80, 443 or 0 for http, and 443 or 0 for tls.";
    ERR_NGROK_1114 1114 400 "Address given twice"
        "The address stands in the -R option and in a flag. Leave one of them out.";
    ERR_NGROK_1115 1115 400 "Port given twice"
        "The port stands in the -R option and in a flag. Write 0 as the port of the -R option.";
    ERR_NGROK_1116 1116 400 "TCP port without address"
        "A TCP port can be chosen only together with the TCP host of the server. Write -R HOST:PORT:localhost:22, or 0 as the port for any address.";
    ERR_NGROK_1117 1117 400 "TCP address without port"
        "A TCP address needs its port. Write -R ADDRESS:PORT:localhost:22, or leave the address out for any.";
    ERR_NGROK_1118 1118 400 "Host name given twice"
        "The host name stands in the -R option and in the flag for a host name. Leave one of them out.";
    ERR_NGROK_1119 1119 400 "Host name and subdomain both given"
        "A host name stands in the -R option and a subdomain in a flag. Leave one of them out.";
    ERR_NGROK_1120 1120 400 "Flags exclude each other"
        "Several flags of the SSH command name the address of the endpoint. Keep one of them.";
    ERR_NGROK_1121 1121 501 "SSH sessions cannot be updated"
        "The endpoint is served over SSH, where there is no agent to update. Update the SSH client where it runs.";
    ERR_NGROK_1122 1122 501 "SSH sessions cannot be restarted"
        "The endpoint is served over SSH and cannot be restarted from here. Start the SSH client again where it runs.";
    ERR_NGROK_1123 1123 400 "Version of the PROXY protocol not known"
        "The version of the PROXY protocol must be 1 or 2. Change the flag --proxy-proto or leave it out.";
    ERR_NGROK_1125 1125 403 "SSH not allowed for this class of account"
        "Accounts of this class may not use the SSH front. Use the agent, or ask the operator.";
    // Configuration of actions on traffic.
    ERR_NGROK_2090 2090 400 "User-agent pattern not valid"
        "A pattern of the user-agent filter is no regular expression that can be used. Look-around and back-references are not available.";
    ERR_NGROK_2201 2201 400 "Unknown action"
        "There is no action of this type. Check the spelling.";
    ERR_NGROK_2202 2202 400 "Action in the wrong phase"
        "The action cannot be used in this phase. Move it to a phase that has it.";
    ERR_NGROK_2203 2203 400 "Action configuration not readable"
        "The configuration of the action cannot be read: a field is unknown, missing or of another kind. Compare it with the documentation.";
    ERR_NGROK_2204 2204 400 "Action configuration not valid"
        "A field in the configuration of the action has a value that is not allowed. Change it.";
    ERR_NGROK_2205 2205 400 "Action not for this protocol"
        "Endpoints of this protocol cannot have the action. Remove it, or use an endpoint of another protocol.";
    ERR_NGROK_2215 2215 400 "Value out of range"
        "A number or duration in the configuration of the action is outside of the allowed range. Change it.";
    ERR_NGROK_2216 2216 400 "IP policy not available"
        "The action refers to an IP policy that is not there. List the addresses in the action itself.";
    ERR_NGROK_2217 2217 400 "Network not valid"
        "A network in the configuration of the action is none. Write it in CIDR notation, as in 203.0.113.0/24.";
    ERR_NGROK_2218 2218 400 "Too many entries"
        "A list in the configuration of the action has more entries than allowed. Remove some.";
    ERR_NGROK_2223 2223 400 "Field empty"
        "A field in the configuration of the action must not be empty. Fill it in, or leave the action out.";
    // Visitors.
    ERR_NGROK_3002 3002 502 "TLS to the upstream failed"
        "The agent reached the local service, but TLS with it failed. Check that the service speaks TLS and that its certificate is accepted by the agent.";
    ERR_NGROK_3003 3003 400 "Server name missing"
        "The TLS connection did not say which name it is for. Use a client that sends the server name (SNI).";
    ERR_NGROK_3004 3004 502 "Bad answer from the upstream"
        "The local service behind this endpoint gave an answer that is not valid HTTP, or stopped in the middle of it. Look into the log of the service.";
    ERR_NGROK_3005 3005 502 "Agent not reachable"
        "The agent that serves this endpoint could not be reached. It may just have lost its connection; try again in a moment.";
    ERR_NGROK_3008 3008 504 "No answer in time"
        "The service behind this endpoint did not answer in time. Try again; if it goes on, look into the service.";
    ERR_NGROK_3200 3200 404 "Endpoint offline"
        "No agent serves this endpoint at the moment. If it is yours: start the agent, and compare its URL with the one in the address bar.";
    ERR_NGROK_3202 3202 503 "Circuit breaker open"
        "Too many answers of this endpoint were errors, so requests are held off for a moment. Try again soon.";
    ERR_NGROK_3203 3203 403 "Address not allowed by the endpoint"
        "The endpoint may be used from certain addresses only, and yours is not among them.";
    ERR_NGROK_3204 3204 403 "Webhook not verified"
        "The request does not carry a valid signature of the webhook's sender.";
    ERR_NGROK_3205 3205 403 "Address not allowed"
        "This endpoint, or every endpoint of its account, may be used from certain addresses only, and yours is not among them.";
    ERR_NGROK_3206 3206 400 "WebSocket expected"
        "This endpoint accepts WebSocket connections only.";
    ERR_NGROK_3209 3209 404 "Endpoint not found"
        "There is no such endpoint. Check the address.";
    ERR_NGROK_3210 3210 502 "Agent does not take the connection"
        "The agent that serves this endpoint did not take the connection. It may be overloaded; try again in a moment.";
    ERR_NGROK_3211 3211 403 "User agent not allowed"
        "This endpoint does not accept requests of your program.";
    // Agents about their upstream.
    ERR_NGROK_8012 8012 502 "Upstream not reachable"
        "The agent is online, but could not connect to the local service behind this endpoint. Start the service, and check the address that the agent forwards to.";
    ERR_NGROK_14001 14001 400 "TLS key pair not valid"
        "The certificate and the private key cannot be read or do not belong together. Check both files.";
    ERR_NGROK_14002 14002 400 "CA certificates not valid"
        "The file of CA certificates holds none that can be read. It must be PEM.";
    // Portway's own: the first three digits are the HTTP status.
    ERR_PORTWAY_40001 40001 400 "Ambiguous request"
        "The request can be read in more than one way, so it was refused before anybody acted on it. Use a client that follows the HTTP standard.";
    ERR_PORTWAY_40002 40002 400 "Host not valid"
        "The Host of the request is missing, given twice, or not a host name.";
    ERR_PORTWAY_40003 40003 400 "Request not served here"
        "The server is not a forward proxy, so it refuses requests that ask it to connect somewhere else.";
    ERR_PORTWAY_40004 40004 400 "Endpoint option not valid"
        "An option of the endpoint has a value that is not allowed, or that endpoints of this protocol do not have. Check the endpoint's settings.";
    ERR_PORTWAY_40101 40101 401 "Login required"
        "This endpoint asks for a user name and a password, and the request has none that are accepted.";
    ERR_PORTWAY_40801 40801 408 "Request too slow"
        "The head of the request did not arrive in time. Check the connection and try again.";
    ERR_PORTWAY_41301 41301 413 "Request body too large"
        "The endpoint has to read the whole body of a request before it forwards it, and this one is larger than allowed. Send less.";
    ERR_PORTWAY_41401 41401 414 "Request target too long"
        "The address of the request is longer than the server allows. Send what is that long in the body of a POST request.";
    ERR_PORTWAY_42101 42101 421 "Misdirected request"
        "The connection was made for another name than the request asks for. Open a new connection for this name.";
    ERR_PORTWAY_42901 42901 429 "Too many connections from one address"
        "Your address has too many connections open. Close some and try again.";
    ERR_PORTWAY_42902 42902 429 "Too many new connections"
        "New connections arrive faster than the server takes them. Wait a moment and try again.";
    ERR_PORTWAY_43101 43101 431 "Request header too large"
        "The header of the request is larger than the server allows. Deleting this site's cookies often helps.";
    ERR_PORTWAY_50101 50101 501 "Not implemented"
        "The request uses a method or a transfer coding that the server does not know.";
    ERR_PORTWAY_50301 50301 503 "Too many streams"
        "The agent that serves this endpoint already carries as many connections as it may. Try again in a moment.";
    ERR_PORTWAY_50302 50302 503 "No free TCP port"
        "All ports of the server's range for TCP endpoints are in use. Close an endpoint, or ask the operator for a larger range.";
    ERR_PORTWAY_50303 50303 503 "Control plane not reachable"
        "The server cannot decide this at the moment because its control plane is away. It tries again by itself.";
    ERR_PORTWAY_50304 50304 503 "Too many bodies at once"
        "The endpoint has to read the bodies of requests before it forwards them, and is reading as many as it may. Try again in a moment.";
    ERR_PORTWAY_50401 50401 504 "Connection idle too long"
        "No bytes moved on the connection for longer than the server allows, so it was closed.";
    ERR_PORTWAY_50501 50501 505 "HTTP version not supported"
        "The server serves HTTP/1.0, HTTP/1.1 and HTTP/2.";
}
