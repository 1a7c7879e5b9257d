//! Which code performs an operation.

use portway_api::not_found;
use portway_codes::PublicError;
use portway_names::{ApplicationSessionId, ApplicationUserId};

use super::call::{Answer, Call};
use super::{
    abuse, accounts, addrs, audit_log, backups, certificates, credentials, crud, domains, entry, event_destinations,
    event_subscriptions, ingresses, installation, ip, online, service_users, settings, ssh_certificates, users, vaults,
    visitors,
};

/// Where the resource of an id is found.
pub(crate) fn collection(id: &str) -> Option<&'static str> {
    Some(match id.split_once('_')?.0 {
        "abrp" => "/abuse_reports",
        "ac" => "/portway/v1/accounts",
        "agin" => "/agent_ingresses",
        "ak" => "/api_keys",
        "bak" => "/portway/v1/backups",
        "ca" => "/certificate_authorities",
        "cert" => "/tls_certificates",
        "cr" => "/credentials",
        "ed" => "/event_destinations",
        "esb" => "/event_subscriptions",
        "ipp" => "/ip_policies",
        "ipr" => "/ip_policy_rules",
        "ipx" => "/ip_restrictions",
        "mbr" => "/portway/v1/memberships",
        "ra" => "/reserved_addrs",
        "rd" => "/reserved_domains",
        "secret" => "/vault_secrets",
        "service" => "/service_users",
        "shcrt" => "/ssh_host_certificates",
        "sshca" => "/ssh_certificate_authorities",
        "sshcr" => "/ssh_credentials",
        "sucrt" => "/ssh_user_certificates",
        "usr" => "/portway/v1/users",
        "vault" => "/vaults",
        _ => return None,
    })
}

/// Performs an operation that the caller may perform.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.operation.spec().group() {
        "root" => Ok(entry::root(call)),
        "self" => entry::caller(call).await,
        "reserved-domains" => domains::perform(call).await,
        "reserved-addrs" => addrs::perform(call).await,
        "agent-ingresses" => ingresses::perform(call).await,
        "tls-certificates" => certificates::perform(call).await,
        "certificate-authorities" => crud::perform(call, &certificates::AUTHORITY).await,
        "event-destinations" => crud::perform(call, &event_destinations::DESTINATION).await,
        "event-sources" => event_subscriptions::sources(call).await,
        "event-subscriptions" => crud::perform(call, &event_subscriptions::SUBSCRIPTION).await,
        "credentials" => credentials::authtokens(call).await,
        "ssh-credentials" => credentials::ssh_keys(call).await,
        "api-keys" => credentials::api_keys(call).await,
        "service-users" => service_users::perform(call, &service_users::SERVICE).await,
        "bot-users" => service_users::perform(call, &service_users::BOT).await,
        "ip-policies" => crud::perform(call, &ip::POLICY).await,
        "ip-policy-rules" => ip::rules(call).await,
        "ip-restrictions" => ip::restrictions(call).await,
        "ssh-certificate-authorities" => ssh_certificates::authorities(call).await,
        "ssh-host-certificates" => ssh_certificates::of_hosts(call).await,
        "ssh-user-certificates" => ssh_certificates::of_users(call).await,
        "vaults" => vaults::vaults(call).await,
        "secrets" => vaults::secrets(call).await,
        "endpoints" => online::endpoints(call).await,
        "tunnels" => online::tunnels(call).await,
        "tunnel-sessions" => online::sessions(call).await,
        "audit-log" => audit_log::perform(call).await,
        "settings" => settings::perform(call).await,
        "edges" | "regions" => installation::perform(call).await,
        "backups" => backups::perform(call).await,
        "accounts" => accounts::perform(call).await,
        "users" => users::users(call).await,
        "memberships" => users::memberships(call).await,
        "application-users" => visitors::none::<ApplicationUserId>(call),
        "application-sessions" => visitors::none::<ApplicationSessionId>(call),
        "abuse-reports" => crud::perform(call, &abuse::REPORT).await,
        _ => Err(not_found()),
    }
}
