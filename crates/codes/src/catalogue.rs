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
    // Calls of the REST interface.
    ERR_NGROK_200 200 401 "Authorization missing"
        "The request has no Authorization header. Send Authorization: Bearer followed by an API key.";
    ERR_NGROK_201 201 401 "Authorization scheme not known"
        "The Authorization header is neither Bearer nor Basic. Send Authorization: Bearer followed by an API key.";
    ERR_NGROK_202 202 401 "Not an API key"
        "What the Authorization header holds does not have the form of an API key. Copy the whole key again, without quotes or spaces around it.";
    ERR_NGROK_203 203 401 "API key not valid"
        "The API key is well formed, but this installation does not know it. It may have been revoked, or belong to another installation. Create a new one.";
    ERR_NGROK_205 205 403 "Account suspended"
        "The account of this API key is suspended. Ask the operator of the installation.";
    ERR_NGROK_206 206 401 "Authtoken instead of an API key"
        "The Authorization header holds an authtoken, with which agents log in. Use an API key.";
    ERR_NGROK_207 207 401 "Authtoken instead of an API key"
        "The Authorization header holds an authtoken, with which agents log in. Use an API key, which has two parts joined by an underscore.";
    ERR_NGROK_208 208 401 "Id of an API key instead of the key"
        "The Authorization header holds the id of an API key. Use the key itself, which was shown once when it was created.";
    ERR_NGROK_210 210 400 "Content type not supported"
        "The body of the request is of a type that is not read. Send JSON with Content-Type: application/json.";
    ERR_NGROK_211 211 400 "Body not expected"
        "The request carries a body, and this operation takes none. Leave the body out.";
    ERR_NGROK_212 212 400 "Body not readable"
        "The body of the request broke off or is longer than allowed. Send it again, or send less.";
    ERR_NGROK_213 213 400 "Body not JSON"
        "The body of the request is not a JSON object. Check quotes, commas and braces.";
    ERR_NGROK_214 214 400 "Field not known"
        "The request has a field that this operation does not know. Check its spelling.";
    ERR_NGROK_215 215 400 "Value not valid"
        "A field of the request has a value that is not allowed, or is missing. Change it.";
    ERR_NGROK_216 216 400 "Content type missing"
        "The request has a body and does not say of which type. Send Content-Type: application/json.";
    ERR_NGROK_217 217 400 "API version not supported"
        "The version that the request asks for is not served. Send Ngrok-Version: 2.";
    ERR_NGROK_218 218 400 "API version missing"
        "The request does not say for which version of the interface it is. Send Ngrok-Version: 2.";
    ERR_NGROK_220 220 403 "Address not allowed by the API restriction"
        "The account restricts the addresses that its API keys may be used from, and yours is not among them. Use an allowed network, or have the restriction changed.";
    ERR_NGROK_221 221 403 "Abuse reports not allowed"
        "The account may not submit or read reports of abuse. Ask the operator of the installation.";
    ERR_NGROK_223 223 400 "Id malformed"
        "A text that should be an id is none. Ids consist of a prefix, an underscore and 27 letters and digits.";
    ERR_NGROK_225 225 429 "Too many calls at once"
        "The account already has as many calls of the API in progress as it may. Wait for one to end.";
    ERR_NGROK_226 226 429 "Too many calls"
        "The account makes more calls of the API than it may. Wait a minute, or ask the operator for a higher limit.";
    ERR_NGROK_227 227 400 "Id of another kind"
        "The id belongs to another kind of resource than is wanted here. Compare its prefix.";
    ERR_NGROK_228 228 400 "Not the id of a certificate authority"
        "The id does not belong to a certificate authority. Such ids begin with ca_.";
    ERR_NGROK_229 229 400 "Not the id of an IP policy"
        "The id does not belong to an IP policy. Such ids begin with ipp_.";
    ERR_NGROK_230 230 400 "Query not readable"
        "The part of the URL behind the question mark cannot be read. Check how it is escaped.";
    ERR_NGROK_231 231 400 "Query parameter not known"
        "The URL has a query parameter that this operation does not know. Check its spelling.";
    ERR_NGROK_232 232 400 "Query parameter given twice"
        "The URL has a query parameter more than once that may stand there only once. Leave one of them out.";
    ERR_NGROK_233 233 400 "Page size out of range"
        "The limit must be between 1 and 100. Change it.";
    ERR_NGROK_235 235 400 "Event format not known"
        "Events can be written as json only. Change the format.";
    ERR_NGROK_236 236 400 "Event target not known"
        "The target is of a kind that is not known. Compare it with the documentation.";
    ERR_NGROK_238 238 400 "Event type not known"
        "There is no event of this type. Check its spelling; types end in .v0.";
    ERR_NGROK_239 239 400 "Event field not known"
        "The event has no such field. Check its spelling.";
    ERR_NGROK_240 240 400 "Event target's login not valid"
        "The login for the target of the events is not valid. Give either a role or a pair of keys.";
    ERR_NGROK_241 241 400 "Not a timestamp"
        "The value is not a point in time as in 2025-01-31T12:00:00Z (RFC 3339). Change it.";
    ERR_NGROK_243 243 400 "Id of another kind"
        "The id belongs to another kind of resource than any of those that are wanted here. Compare its prefix.";
    ERR_NGROK_244 244 400 "Page size not a number"
        "The limit must be a number between 1 and 100. Change it.";
    ERR_NGROK_248 248 400 "Endpoint type cannot be created"
        "Only endpoints of the type cloud can be created here. Agents bring their own endpoints.";
    ERR_NGROK_249 249 400 "Endpoint URL not valid"
        "The URL of the endpoint cannot be used. It needs a scheme, a host and, for TCP, a port.";
    ERR_NGROK_250 250 400 "Filter not valid"
        "The filter cannot be understood or uses a field that this list cannot be filtered by. Correct it.";
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
    // Reserved domains and addresses.
    ERR_NGROK_400 400 400 "Region not valid"
        "There is no such region for a reserved domain. Leave the region out.";
    ERR_NGROK_402 402 400 "Wildcard in the wrong place"
        "An asterisk may stand only as the whole first label of a reserved domain, as in *.example.com. Change the name.";
    ERR_NGROK_403 403 400 "Wildcard label not valid"
        "The first label of a wildcard domain must be a single asterisk. Change the name.";
    ERR_NGROK_406 406 400 "Domain has a forbidden character"
        "The domain contains a character that domains cannot have. Allowed are letters, digits, hyphens and dots.";
    ERR_NGROK_407 407 400 "Domain label begins wrongly"
        "A label of the domain begins with a character other than a letter or digit. Change the name.";
    ERR_NGROK_408 408 400 "Domain label ends wrongly"
        "A label of the domain ends with a character other than a letter or digit. Change the name.";
    ERR_NGROK_409 409 400 "Domain has an empty label"
        "The domain has two dots in a row, or begins with one. Remove the surplus dot.";
    ERR_NGROK_410 410 400 "Domain label has two hyphens"
        "A label has hyphens as third and fourth character and is no internationalised label. Change the name.";
    ERR_NGROK_411 411 400 "Domain not reachable from the internet"
        "Names below this top-level domain are not reachable from the internet. Reserve another name.";
    ERR_NGROK_413 413 409 "Domain already reserved"
        "The account has reserved this domain already. Use that reservation.";
    ERR_NGROK_414 414 409 "Domain of another account"
        "Another account has reserved this domain. Reserve another name.";
    ERR_NGROK_415 415 429 "Too many reserved domains"
        "The account has as many reserved domains as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_416 416 400 "Wildcard too wide"
        "A wildcard for all names of this domain cannot be reserved. Reserve a narrower one.";
    ERR_NGROK_417 417 409 "Wildcard overlaps another account"
        "The wildcard covers a domain that another account has reserved. Reserve another name.";
    ERR_NGROK_420 420 400 "Description too long"
        "The description of the reserved domain is longer than 255 bytes. Shorten it.";
    ERR_NGROK_421 421 400 "Metadata too long"
        "The metadata of the reserved domain is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_422 422 400 "Nothing to change"
        "The change of the reserved domain names no field. Give at least one.";
    ERR_NGROK_424 424 400 "No CNAME record needed"
        "The domain is served by the installation itself and needs no CNAME record. Nothing needs to be done.";
    ERR_NGROK_425 425 400 "CNAME record not found"
        "The domain has no CNAME record. Create one that points to the domain's target.";
    ERR_NGROK_426 426 400 "Address record instead of a CNAME record"
        "The domain has an address record and no CNAME record. Replace it by a CNAME record that points to the domain's target.";
    ERR_NGROK_427 427 400 "CNAME record points elsewhere"
        "The CNAME record of the domain points to another name than the domain's target. Correct it.";
    ERR_NGROK_429 429 400 "Domain not a valid internationalised name"
        "A label of the domain is not valid punycode. Change the name.";
    ERR_NGROK_430 430 409 "Domain in use by another account"
        "Another account serves an endpoint at this domain now. Reserve another name.";
    ERR_NGROK_434 434 400 "Certificate and policy exclude each other"
        "A certificate and a policy for managed certificates are both given. Leave one of them out.";
    ERR_NGROK_435 435 400 "Certificate authority not known"
        "The policy for managed certificates names an authority that is not known. Use letsencrypt.";
    ERR_NGROK_436 436 400 "Certificate is managed"
        "The certificate is managed and cannot be detached by itself. Detach the policy for managed certificates.";
    ERR_NGROK_438 438 400 "Underscore in the domain"
        "The domain contains an underscore. Domains cannot have one; change the name.";
    ERR_NGROK_439 439 400 "No policy for names of the installation"
        "Names below the installation's own domains have their certificate already. Leave the policy out.";
    ERR_NGROK_440 440 400 "No certificate for names of the installation"
        "Names below the installation's own domains have their certificate already. Leave the certificate out.";
    ERR_NGROK_441 441 400 "No challenge record needed"
        "The domain needs no CNAME record for the ACME challenge. Nothing needs to be done.";
    ERR_NGROK_442 442 400 "Challenge record not found"
        "The CNAME record for the ACME challenge is missing. Create one that points to the given target.";
    ERR_NGROK_443 443 400 "Address record instead of a challenge record"
        "The name for the ACME challenge has an address record and no CNAME record. Replace it.";
    ERR_NGROK_444 444 400 "Challenge record points elsewhere"
        "The CNAME record for the ACME challenge points to another name than the given target. Correct it.";
    ERR_NGROK_445 445 502 "DNS lookup failed"
        "The DNS records of the domain could not be looked up. Try again later.";
    ERR_NGROK_446 446 409 "Domain in use"
        "The domain cannot be deleted because a cloud endpoint uses it. Delete the endpoint first.";
    ERR_NGROK_448 448 400 "Domain not complete"
        "The domain has a single label. Write it with its parent, as in app.example.com.";
    ERR_NGROK_449 449 400 "Domain given twice"
        "The domain is given as name and as domain. Leave name out.";
    ERR_NGROK_450 450 403 "Names below this domain not allowed"
        "Names below this domain cannot be reserved. Reserve another name.";
    ERR_NGROK_451 451 400 "Region cannot change"
        "The region of a reserved domain cannot be changed. Delete the domain and reserve it again.";
    ERR_NGROK_456 456 400 "Place given twice"
        "The domain is resolved to the same place twice. Leave one of them out.";
    ERR_NGROK_459 459 400 "Places cannot change"
        "The places that this domain is resolved to cannot be changed. Leave resolves_to out.";
    ERR_NGROK_500 500 400 "Region not valid"
        "There is no such region for a reserved address. The list of regions has those that there are.";
    ERR_NGROK_502 502 429 "Too many reserved addresses"
        "The account has as many reserved addresses as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_503 503 503 "No address free"
        "All addresses of the region are reserved. Delete one, choose another region, or ask the operator for a larger range.";
    ERR_NGROK_504 504 400 "Description too long"
        "The description of the reserved address is longer than 255 bytes. Shorten it.";
    ERR_NGROK_505 505 400 "Metadata too long"
        "The metadata of the reserved address is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_506 506 400 "Nothing to change"
        "The change of the reserved address names no field. Give at least one.";
    ERR_NGROK_511 511 409 "CNAME record already there"
        "The domain already has a CNAME record that points here. Delete it before reserving the domain.";
    ERR_NGROK_512 512 409 "Address record already there"
        "The domain already has a record with an address of this installation. Delete it before reserving the domain.";
    ERR_NGROK_513 513 400 "Domain label too long"
        "A label of the domain is longer than 63 characters. Shorten it.";
    ERR_NGROK_514 514 400 "Domain too long"
        "The domain is longer than 253 characters. Shorten it.";
    ERR_NGROK_515 515 400 "Domain behind a proxy"
        "The domain is behind a proxy that hides where it leads, so its record cannot be checked. Turn the proxy off for it.";
    // Credentials.
    ERR_NGROK_600 600 400 "Access rule not valid"
        "An access rule cannot be understood. A rule is an asterisk alone, or bind: followed by a name, a wildcard name, host:port, or key=value.";
    ERR_NGROK_601 601 409 "Default authtoken"
        "The authtoken is the default one of its owner and cannot be deleted. Rotate it instead.";
    ERR_NGROK_604 604 400 "Description too long"
        "The description of the credential is longer than 255 bytes. Shorten it.";
    ERR_NGROK_605 605 400 "Metadata too long"
        "The metadata of the credential is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_606 606 400 "Nothing to change"
        "The change of the credential names no field. Give at least one.";
    ERR_NGROK_609 609 409 "SSH key already registered"
        "The account has this SSH key already. Use that entry.";
    ERR_NGROK_610 610 409 "SSH key of another account"
        "Another account has this SSH key. Make a new key with ssh-keygen.";
    ERR_NGROK_611 611 400 "SSH key missing"
        "The public SSH key is missing or empty. Send the line of the file that ends in .pub.";
    ERR_NGROK_612 612 400 "SSH key not valid"
        "The public SSH key cannot be read. Send the line of the file that ends in .pub.";
    ERR_NGROK_613 613 429 "Too many API keys"
        "The account has as many API keys as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_615 615 429 "Too many authtokens"
        "The account has as many authtokens as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_617 617 429 "Too many SSH keys"
        "The account has as many SSH keys as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_630 630 403 "Owner may be set by administrators only"
        "Only administrators may give a credential to somebody else. Leave the owner out.";
    ERR_NGROK_631 631 400 "Several owners"
        "More than one owner of the credential is given. Keep one of them.";
    ERR_NGROK_634 634 400 "Owner not found"
        "There is no such owner in the account. Check the id, or leave the owner out.";
    ERR_NGROK_635 635 403 "Owner of the key may not write"
        "The owner of the API key may read only. Use a key of somebody who may write.";
    ERR_NGROK_636 636 403 "Owner inactive"
        "The owner of the credential is inactive. Activate it, or choose another owner.";
    ERR_NGROK_637 637 409 "Default authtoken of a user"
        "The authtoken is the default one of a user and cannot be deleted. Rotate it, or remove the user.";
    ERR_NGROK_638 638 403 "Own tokens not allowed"
        "The account may not choose the token of a credential. Leave it out; the server makes one.";
    // Rates and life cycle.
    ERR_NGROK_702 702 429 "Too many connections"
        "The account gets more connections a minute than it may. Wait a minute, or ask the operator for a higher limit.";
    ERR_NGROK_703 703 429 "Too many requests"
        "The account gets more HTTP requests a minute than it may. Wait a minute, or ask the operator for a higher limit.";
    ERR_NGROK_802 802 500 "Internal error"
        "The server failed for a reason of its own. Try again; if it goes on, the operator finds the cause in the server's log.";
    ERR_NGROK_803 803 503 "Server shutting down"
        "The server is shutting down or restarting. The agent connects again by itself.";
    ERR_NGROK_804 804 409 "Remote stop not supported"
        "The agent cannot be stopped from here. Stop it where it runs.";
    ERR_NGROK_805 805 409 "Remote restart not supported"
        "The agent cannot be restarted from here. Restart it where it runs.";
    ERR_NGROK_806 806 409 "Remote update not supported"
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
    ERR_NGROK_1121 1121 409 "SSH sessions cannot be updated"
        "The endpoint is served over SSH, where there is no agent to update. Update the SSH client where it runs.";
    ERR_NGROK_1122 1122 409 "SSH sessions cannot be restarted"
        "The endpoint is served over SSH and cannot be restarted from here. Start the SSH client again where it runs.";
    ERR_NGROK_1123 1123 400 "Version of the PROXY protocol not known"
        "The version of the PROXY protocol must be 1 or 2. Change the flag --proxy-proto or leave it out.";
    ERR_NGROK_1125 1125 403 "SSH not allowed for this class of account"
        "Accounts of this class may not use the SSH front. Use the agent, or ask the operator.";
    // Rights.
    ERR_NGROK_1214 1214 429 "Too many requests to the dashboard"
        "The account makes more requests to the dashboard than it may. Wait a minute.";
    ERR_NGROK_1215 1215 403 "May not invite"
        "The user may not invite others to the account. Ask a manager of the team.";
    ERR_NGROK_1216 1216 403 "May not manage the team"
        "The user may not manage members of the account. Ask a manager of the team.";
    ERR_NGROK_1219 1219 403 "May not write"
        "The caller may read the account's resources but not change them. Ask an administrator for the right to write.";
    ERR_NGROK_1220 1220 403 "Administrators only"
        "The operation needs the rights of an administrator. Ask one.";
    // IP policies and restrictions.
    ERR_NGROK_1400 1400 400 "Nothing to change"
        "The change of the IP policy names no field. Give at least one.";
    ERR_NGROK_1401 1401 400 "Nothing to change"
        "The change of the rule names no field. Give at least one.";
    ERR_NGROK_1402 1402 404 "IP policy not found"
        "There is no such IP policy in the account. Check the id.";
    ERR_NGROK_1404 1404 404 "Rule of an IP policy not found"
        "There is no such rule in the account. Check the id.";
    ERR_NGROK_1405 1405 400 "Field missing"
        "A field that a rule of an IP policy needs is missing. Give cidr, ip_policy_id and action.";
    ERR_NGROK_1406 1406 400 "Network not valid"
        "The network is none. Write it in CIDR notation, as in 203.0.113.0/24.";
    ERR_NGROK_1408 1408 409 "Network already in the policy"
        "The IP policy has a rule for this network already. Change that one.";
    ERR_NGROK_1409 1409 400 "Network has host bits"
        "The address of the network is not the first one of its range. Write the first one.";
    ERR_NGROK_1413 1413 400 "Network has no mask"
        "The network has no number of bits. Write one behind a slash: 32 (IPv6: 128) for a single address.";
    ERR_NGROK_1414 1414 400 "Not the id of an IP policy"
        "The ip_policy_id is no id of an IP policy. Such ids begin with ipp_.";
    ERR_NGROK_1415 1415 429 "Too many IP policies"
        "The account has as many IP policies as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_1417 1417 429 "Too many rules in the policy"
        "The IP policy has as many rules as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_1419 1419 409 "Last rule of a policy in use"
        "The rule is the only one of a policy that restricts the dashboard. Detach the policy from the restriction first.";
    ERR_NGROK_1420 1420 409 "IP policy in use"
        "The IP policy cannot be deleted because IP restrictions refer to it. Detach it from them first.";
    ERR_NGROK_1421 1421 400 "Description too long"
        "The description of the rule is longer than 255 bytes. Shorten it.";
    ERR_NGROK_1422 1422 400 "Action not valid"
        "The action of a rule must be allow or deny. Change it.";
    ERR_NGROK_1423 1423 400 "Action in the wrong place"
        "The action belongs to the rules of an IP policy, not to the policy. Move it.";
    ERR_NGROK_1700 1700 403 "Commands to agents not allowed"
        "The account may not send commands to its agents. Ask the operator.";
    ERR_NGROK_1701 1701 403 "Stop and restart not allowed"
        "The account may not stop or restart its agents from here. Ask the operator.";
    ERR_NGROK_1702 1702 403 "Update not allowed"
        "The account may not update its agents from here. Ask the operator.";
    ERR_NGROK_1800 1800 400 "Too many policies in the restriction"
        "The restriction refers to more IP policies than it may. Remove some.";
    ERR_NGROK_1801 1801 400 "IP policy of the restriction not found"
        "The account has no such IP policy. Check the ids in ip_policy_ids.";
    ERR_NGROK_1802 1802 409 "Restriction of this type exists"
        "The account has an IP restriction of this type already. Change or delete that one.";
    ERR_NGROK_1803 1803 400 "Restriction type not known"
        "The type of a restriction must be dashboard, api, agent or endpoints. Change it.";
    ERR_NGROK_1804 1804 400 "Restriction without policy"
        "A restriction needs at least one IP policy. Give its id in ip_policy_ids.";
    // Certificates.
    ERR_NGROK_1900 1900 400 "Certificate not readable"
        "The certificate cannot be parsed. Send it as PEM.";
    ERR_NGROK_1901 1901 400 "Private key missing"
        "The request has no private key in PEM. Send it in private_key_pem.";
    ERR_NGROK_1902 1902 400 "Private key encrypted"
        "The private key is encrypted with a password. Decrypt it before sending it.";
    ERR_NGROK_1903 1903 400 "Private key not readable"
        "The private key is of a kind that is not supported. Use an RSA, ECDSA or Ed25519 key.";
    ERR_NGROK_1909 1909 400 "Key type not valid"
        "The type of the private key must be rsa or ecdsa. Change it.";
    ERR_NGROK_1910 1910 400 "PEM with headers"
        "The PEM text has headers inside its blocks, which are not allowed. Remove them.";
    ERR_NGROK_1911 1911 400 "PEM of another kind"
        "The PEM block is not a certificate. Send a block that begins with BEGIN CERTIFICATE.";
    ERR_NGROK_1912 1912 400 "Several certificates"
        "More than one certificate was sent where one belongs. Send them one by one.";
    ERR_NGROK_1913 1913 400 "Not a certificate authority"
        "The certificate is not marked as that of a certificate authority. Send the certificate of the authority.";
    ERR_NGROK_1914 1914 400 "Description too long"
        "The description of the certificate is longer than 255 bytes. Shorten it.";
    ERR_NGROK_1915 1915 400 "Metadata too long"
        "The metadata of the certificate is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_1916 1916 400 "Description too long"
        "The description of the certificate authority is longer than 255 bytes. Shorten it.";
    ERR_NGROK_1917 1917 400 "Metadata too long"
        "The metadata of the certificate authority is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_1919 1919 400 "Certificate missing"
        "The request has no certificate. Send it as PEM.";
    ERR_NGROK_1920 1920 400 "Certificate not PEM"
        "The certificate is not PEM text. Convert it first.";
    ERR_NGROK_1921 1921 400 "Certificate too large"
        "The certificate text is larger than allowed. Send the chain only.";
    ERR_NGROK_1922 1922 400 "Certificate missing"
        "The request has no certificate in PEM. Send it in certificate_pem.";
    ERR_NGROK_1923 1923 400 "Certificate and key do not match"
        "The private key does not belong to the certificate. Send the two that belong together.";
    ERR_NGROK_1924 1924 400 "Certificate in place of the key"
        "The private key is a certificate. Exchange the two.";
    ERR_NGROK_1925 1925 400 "Key in place of the certificate"
        "The certificate is a private key. Exchange the two.";
    ERR_NGROK_1926 1926 400 "Certificates in the wrong order"
        "A certificate of the chain is not signed by the one that follows it. Send the leaf first, then its issuers.";
    ERR_NGROK_1929 1929 400 "Number of name servers wrong"
        "The zone does not have the number of name servers that was given. Correct its NS records.";
    ERR_NGROK_1930 1930 400 "Name servers wrong"
        "The NS records of the zone are not those that were given. Correct them.";
    ERR_NGROK_1934 1934 400 "SSH key not readable"
        "The public SSH key cannot be parsed. Send the line of the file that ends in .pub.";
    ERR_NGROK_1936 1936 400 "SSH key type not valid"
        "The type of the key must be rsa, ecdsa or ed25519. Change it.";
    ERR_NGROK_1937 1937 400 "Description too long"
        "The description of the SSH certificate authority is longer than 255 bytes. Shorten it.";
    ERR_NGROK_1938 1938 400 "Metadata too long"
        "The metadata of the SSH certificate authority is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_1939 1939 400 "Key size not valid"
        "The size of an RSA key must be 2048 or 4096. Change it.";
    ERR_NGROK_1940 1940 400 "Key size not for this key"
        "Only RSA keys have a size to choose. Leave it out.";
    ERR_NGROK_1941 1941 400 "Elliptic curve not valid"
        "The curve must be 256, 384 or 521. Change it.";
    ERR_NGROK_1942 1942 400 "Elliptic curve not for this key"
        "Only ECDSA keys have a curve to choose. Leave it out.";
    ERR_NGROK_1943 1943 400 "Validity not valid"
        "The certificate would end before it begins. Change valid_after or valid_until.";
    ERR_NGROK_1945 1945 400 "Description too long"
        "The description of the SSH certificate is longer than 255 bytes. Shorten it.";
    ERR_NGROK_1946 1946 400 "Metadata too long"
        "The metadata of the SSH certificate is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_1949 1949 404 "SSH certificate authority not found"
        "There is no such SSH certificate authority in the account. Check the id.";
    ERR_NGROK_1952 1952 400 "SSH key missing"
        "The public SSH key to sign is missing. Send the line of the file that ends in .pub.";
    ERR_NGROK_1962 1962 400 "Validity not valid"
        "The user certificate would end before it begins. Change valid_after or valid_until.";
    ERR_NGROK_1963 1963 400 "Validity not valid"
        "The host certificate would end before it begins. Change valid_after or valid_until.";
    ERR_NGROK_1964 1964 409 "SSH certificate authority in use"
        "Certificates that the authority signed still exist. Delete them first.";
    ERR_NGROK_1965 1965 404 "Certificate not found"
        "There is no such certificate in the account. Check the id.";
    ERR_NGROK_1966 1966 409 "Certificate is managed"
        "The certificate belongs to a policy for managed certificates and cannot be deleted by itself. Detach the policy, or delete the domain.";
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
        "The action refers to an IP policy that the account does not have. Check the id, or list the addresses in the action itself.";
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
    // Limits, and the export of events.
    ERR_NGROK_5000 5000 429 "Too many resources"
        "The account has as many resources of this kind as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_5001 5001 429 "Resources created too fast"
        "The account creates resources of this kind faster than it may. Wait a minute.";
    ERR_NGROK_5100 5100 400 "Event target missing"
        "The destination has no target. Give exactly one.";
    ERR_NGROK_5103 5103 404 "Event destination not found"
        "There is no such event destination in the account. Check the id.";
    ERR_NGROK_5104 5104 400 "Role not valid"
        "The ARN of the role is not that of an AWS IAM role. Copy it again.";
    ERR_NGROK_5106 5106 400 "Login for the target missing"
        "The target has no auth. Give a role or a pair of keys.";
    ERR_NGROK_5107 5107 400 "Login for the target empty"
        "The auth of the target has neither a role nor a pair of keys. Give one of them.";
    ERR_NGROK_5108 5108 400 "Target type cannot change"
        "The type of a destination's target cannot be changed. Create another destination.";
    ERR_NGROK_5112 5112 409 "Event destination in use"
        "The destination cannot be deleted because an event subscription uses it. Remove it there first.";
    ERR_NGROK_5115 5115 400 "Several event targets"
        "The destination has more than one target. Keep one.";
    ERR_NGROK_5116 5116 400 "Several logins for the target"
        "The auth of the target has a role and a pair of keys. Keep one of them.";
    ERR_NGROK_5117 5117 400 "Field cannot change"
        "The field of the destination cannot be changed. Create another destination.";
    ERR_NGROK_5118 5118 400 "ARN of another partition"
        "The partition in the ARN is not one of AWS. Copy the ARN again.";
    ERR_NGROK_5119 5119 400 "ARN of another service"
        "The service in the ARN is not the one that the target needs. Copy the ARN of the right resource.";
    ERR_NGROK_5120 5120 400 "ARN not valid"
        "The ARN is not one. Copy it again.";
    ERR_NGROK_5123 5123 404 "Event subscription not found"
        "There is no such event subscription in the account. Check the id.";
    ERR_NGROK_5125 5125 404 "Event source not found"
        "The event subscription has no source of this type. Check the type.";
    ERR_NGROK_5126 5126 400 "Too many destinations"
        "The event subscription has more destinations than it may. Remove some.";
    ERR_NGROK_5127 5127 400 "Event type given twice"
        "The event subscription has two sources of one type. Leave one of them out.";
    ERR_NGROK_5130 5130 400 "ARN of another resource"
        "The ARN is of another type of resource than the target needs. Copy the ARN of the right resource.";
    ERR_NGROK_5132 5132 400 "Datadog key refused"
        "Datadog does not accept the API key. Check it there.";
    ERR_NGROK_5133 5133 400 "Datadog key missing"
        "The Datadog target has no API key. Give it in api_key.";
    ERR_NGROK_5134 5134 400 "Datadog site not valid"
        "There is no such Datadog site. Take it from the address of your Datadog dashboard.";
    ERR_NGROK_5136 5136 400 "Azure rule not valid"
        "The id of the Azure data collection rule is missing or not valid. Copy it again.";
    ERR_NGROK_5137 5137 400 "Azure stream not valid"
        "The name of the Azure data collection stream is missing or not valid. Copy it again.";
    ERR_NGROK_5138 5138 400 "Azure address not valid"
        "The address of the Azure logs ingestion is missing or no https URL. Copy it again.";
    ERR_NGROK_5139 5139 400 "Azure login not valid"
        "Tenant, client id or client secret of the Azure target is missing or not valid. Copy them again.";
    ERR_NGROK_5140 5140 400 "Event target's fields not valid"
        "Fields of the event target are missing or not valid. Compare them with the documentation.";
    ERR_NGROK_5400 5400 400 "Event fields missing"
        "Events of this type need the list of fields to send. Give it in fields.";
    ERR_NGROK_5401 5401 400 "Event fields not allowed"
        "Events of this type are always sent whole. Leave fields out.";
    ERR_NGROK_5402 5402 400 "Event filter not allowed"
        "Events of this type cannot be filtered. Leave filter out.";
    ERR_NGROK_5403 5403 400 "Event field of another type"
        "Events of this type have no such field. Check its spelling.";
    ERR_NGROK_5404 5404 400 "Event filter not valid"
        "The filter cannot be understood. Correct it.";
    ERR_NGROK_5405 5405 400 "Event field not valid"
        "No event has a field of this name. Check its spelling.";
    ERR_NGROK_5406 5406 400 "Event field not filterable"
        "Events cannot be filtered by this field. Use another one.";
    // Teams.
    ERR_NGROK_6601 6601 409 "Already a member"
        "The user is a member of the account already. Change that membership.";
    ERR_NGROK_6602 6602 409 "Last administrator"
        "The account would be left without an administrator. Make somebody else one first.";
    ERR_NGROK_6604 6604 403 "Administrators remove administrators"
        "Only an administrator may remove another one. Ask one.";
    ERR_NGROK_6605 6605 403 "Administrators make administrators"
        "Only an administrator may make somebody else one. Ask one.";
    // Connect URLs.
    ERR_NGROK_6700 6700 400 "Description too long"
        "The description of the connect URL is longer than 255 bytes. Shorten it.";
    ERR_NGROK_6701 6701 400 "Metadata too long"
        "The metadata of the connect URL is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_6702 6702 400 "NS records not found"
        "The domain of the connect URL has no NS records. Create those that were given.";
    ERR_NGROK_6703 6703 400 "NS records wrong"
        "The NS records of the domain are not those that were given. Correct them.";
    ERR_NGROK_6704 6704 400 "Domain of the connect URL not valid"
        "The domain of the connect URL is no domain name. Change it.";
    ERR_NGROK_6705 6705 400 "Domain of the installation"
        "The domain of a connect URL cannot be one of the installation's own. Use a domain of yours.";
    ERR_NGROK_6706 6706 409 "Connect URL exists"
        "There is a connect URL with this domain already. Choose another domain.";
    ERR_NGROK_6708 6708 400 "Several certificate sources"
        "The connect URL has more than one source of certificates. Keep one.";
    // Agents about their upstream.
    ERR_NGROK_8012 8012 502 "Upstream not reachable"
        "The agent is online, but could not connect to the local service behind this endpoint. Start the service, and check the address that the agent forwards to.";
    ERR_NGROK_14001 14001 400 "TLS key pair not valid"
        "The certificate and the private key cannot be read or do not belong together. Check both files.";
    ERR_NGROK_14002 14002 400 "CA certificates not valid"
        "The file of CA certificates holds none that can be read. It must be PEM.";
    // Cloud endpoints.
    ERR_NGROK_18001 18001 400 "Cloud endpoint URL not valid"
        "The URL of the cloud endpoint cannot be used. Write scheme and host, and for TCP the port.";
    ERR_NGROK_18002 18002 400 "Traffic policy not valid"
        "The traffic policy of the cloud endpoint cannot be used. Correct it; it must always end in an answer.";
    ERR_NGROK_18003 18003 400 "Cloud endpoint port missing"
        "The URL of the cloud endpoint has no port and its scheme has no usual one. Write the port.";
    ERR_NGROK_18004 18004 400 "Nothing to change"
        "The change of the cloud endpoint names no field. Give at least one.";
    ERR_NGROK_18005 18005 400 "Scheme cannot change"
        "The scheme of an endpoint's URL cannot be changed. Create another endpoint.";
    ERR_NGROK_18006 18006 404 "Nothing reserved for this URL"
        "The account has no reserved domain or address that fits the URL. Reserve it first.";
    ERR_NGROK_18009 18009 409 "Cloud endpoint exists"
        "The account has a cloud endpoint at this URL already. Change that one.";
    ERR_NGROK_18010 18010 429 "Too many cloud endpoints"
        "The account has as many cloud endpoints as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_18012 18012 400 "Description too long"
        "The description of the endpoint is longer than 255 bytes. Shorten it.";
    ERR_NGROK_18013 18013 400 "Metadata too long"
        "The metadata of the endpoint is longer than 4096 bytes. Shorten it.";
    ERR_NGROK_18014 18014 400 "Endpoint field not valid"
        "A field of the endpoint has a value that is not allowed. Change it.";
    ERR_NGROK_18015 18015 400 "Endpoint field missing"
        "A field that an endpoint needs is missing. Give it.";
    ERR_NGROK_18016 18016 400 "Endpoint is not pooled"
        "Another endpoint serves this URL without pooling. Stop it, or turn pooling off here.";
    ERR_NGROK_18017 18017 400 "Endpoint is pooled"
        "Other endpoints serve this URL in a pool. Turn pooling on here, or stop them.";
    ERR_NGROK_18018 18018 400 "Scheme not for this binding"
        "Endpoints with the binding kubernetes can be http, tls or tcp. Change the URL.";
    ERR_NGROK_18020 18020 429 "Pool full"
        "The pool of this URL has as many endpoints as it may. Stop one.";
    ERR_NGROK_18021 18021 429 "Too many endpoints online"
        "The account has as many endpoints online as it may. Stop one, or ask the operator for a higher limit.";
    ERR_NGROK_18022 18022 400 "Cloud endpoint scheme not valid"
        "The URL of the cloud endpoint has no scheme that is served. Use http, https, tcp or tls.";
    ERR_NGROK_18023 18023 400 "Cloud endpoint port not valid"
        "Endpoints of this scheme cannot have this port. Leave it out.";
    // Vaults and secrets.
    ERR_NGROK_23000 23000 400 "Vault name not valid"
        "The name of a vault consists of letters, digits, underscores, slashes and dots. Change it.";
    ERR_NGROK_23001 23001 400 "Vault name empty"
        "A vault needs a name. Give one.";
    ERR_NGROK_23002 23002 400 "Vault name too long"
        "The name of the vault is longer than allowed. Shorten it.";
    ERR_NGROK_23003 23003 409 "Vault not empty"
        "The vault still holds secrets. Delete them first.";
    ERR_NGROK_23004 23004 409 "Vault exists"
        "The account has a vault of this name already. Choose another name.";
    ERR_NGROK_23005 23005 429 "Too many vaults"
        "The account has as many vaults as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_24000 24000 400 "Secret name not valid"
        "The name of a secret consists of letters, digits, underscores, slashes and dots. Change it.";
    ERR_NGROK_24001 24001 400 "Secret name empty"
        "A secret needs a name. Give one.";
    ERR_NGROK_24002 24002 400 "Secret name too long"
        "The name of the secret is longer than allowed. Shorten it.";
    ERR_NGROK_24003 24003 400 "Secret value empty"
        "A secret needs a value. Give one.";
    ERR_NGROK_24004 24004 400 "Secret value too long"
        "The value of the secret is longer than allowed. Shorten it.";
    ERR_NGROK_24005 24005 409 "Secret exists"
        "The vault has a secret of this name already. Choose another name.";
    ERR_NGROK_24006 24006 404 "Vault of the secret not found"
        "There is no such vault in the account. Check the id.";
    ERR_NGROK_24007 24007 429 "Too many secrets"
        "The vault has as many secrets as it may. Delete one, or ask the operator for a higher limit.";
    ERR_NGROK_24008 24008 400 "Vault of the secret missing"
        "The secret belongs to no vault. Give vault_id or vault_name.";
    ERR_NGROK_24009 24009 404 "Vault of the secret not found"
        "There is no vault of this name in the account. Check it.";
    // Portway's own: the first three digits are the HTTP status.
    ERR_PORTWAY_40001 40001 400 "Ambiguous request"
        "The request can be read in more than one way, so it was refused before anybody acted on it. Use a client that follows the HTTP standard.";
    ERR_PORTWAY_40002 40002 400 "Host not valid"
        "The Host of the request is missing, given twice, or not a host name.";
    ERR_PORTWAY_40003 40003 400 "Request not served here"
        "The server is not a forward proxy, so it refuses requests that ask it to connect somewhere else.";
    ERR_PORTWAY_40004 40004 400 "Endpoint option not valid"
        "An option of the endpoint has a value that is not allowed, or that endpoints of this protocol do not have. Check the endpoint's settings.";
    ERR_PORTWAY_40005 40005 400 "Certificate for other names"
        "The certificate does not name the domain, so visitors would be shown an error. Attach one that does.";
    ERR_PORTWAY_40101 40101 401 "Login required"
        "This endpoint asks for a user name and a password, and the request has none that are accepted.";
    ERR_PORTWAY_40401 40401 404 "Resource not found"
        "There is no such resource in the account, or no such path. Check the id and the address.";
    ERR_PORTWAY_40501 40501 405 "Method not allowed"
        "The resource cannot be used with this method. The Allow header lists those it has.";
    ERR_PORTWAY_40801 40801 408 "Request too slow"
        "The head of the request did not arrive in time. Check the connection and try again.";
    ERR_PORTWAY_40901 40901 409 "Resource changed meanwhile"
        "The resource was changed by somebody else at the same time. Read it again, and repeat the change.";
    ERR_PORTWAY_40902 40902 409 "Name taken"
        "Another resource has this name already. Choose another one.";
    ERR_PORTWAY_40903 40903 409 "Resource in use"
        "Other resources need this one. Change or delete those first.";
    ERR_PORTWAY_40904 40904 409 "Operator's account"
        "The installation's first account cannot be suspended or deleted. Its members can be changed.";
    ERR_PORTWAY_40905 40905 409 "Would lock you out"
        "After this change you could not use the API any more: your address would not be admitted, or your key would be gone. Send the header Portway-Force: true (`portway api --force`) to do it all the same.";
    ERR_PORTWAY_40906 40906 409 "Database makes its own backups"
        "The database is in PostgreSQL, which makes its own backups. Use pg_dump on its server.";
    ERR_PORTWAY_41301 41301 413 "Request body too large"
        "The endpoint has to read the whole body of a request before it forwards it, and this one is larger than allowed. Send less.";
    ERR_PORTWAY_41302 41302 413 "Body too large"
        "The body of the request is larger than the API reads. Send less.";
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
    ERR_PORTWAY_50305 50305 503 "Database not available"
        "The server cannot read or write its database at the moment, so nothing was changed. Try again in a moment.";
    ERR_PORTWAY_50401 50401 504 "Connection idle too long"
        "No bytes moved on the connection for longer than the server allows, so it was closed.";
    ERR_PORTWAY_50501 50501 505 "HTTP version not supported"
        "The server serves HTTP/1.0, HTTP/1.1 and HTTP/2.";
}
