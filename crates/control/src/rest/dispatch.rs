//! Which code performs an operation.

use portway_api::not_found;
use portway_codes::PublicError;
use portway_names::{ApplicationSessionId, ApplicationUserId};

use super::call::{Answer, Call};
use super::{
    abuse, accounts, addrs, credentials, crud, domains, entry, event_destinations, event_subscriptions, ingresses, ip,
    service_users, users, visitors,
};

/// Performs an operation that the caller may perform.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.operation.spec().group() {
        "root" => Ok(entry::root(call)),
        "self" => entry::caller(call).await,
        "reserved-domains" => domains::perform(call).await,
        "reserved-addrs" => addrs::perform(call).await,
        "agent-ingresses" => crud::perform(call, &ingresses::INGRESS).await,
        "event-destinations" => crud::perform(call, &event_destinations::DESTINATION).await,
        "event-sources" => event_subscriptions::sources(call).await,
        "event-subscriptions" => crud::perform(call, &event_subscriptions::SUBSCRIPTION).await,
        "credentials" => credentials::authtokens(call).await,
        "ssh-credentials" => credentials::ssh_keys(call).await,
        "api-keys" => credentials::api_keys(call).await,
        "service-users" => crud::perform(call, &service_users::SERVICE).await,
        "bot-users" => crud::perform(call, &service_users::BOT).await,
        "ip-policies" => crud::perform(call, &ip::POLICY).await,
        "ip-policy-rules" => crud::perform(call, &ip::RULE).await,
        "ip-restrictions" => crud::perform(call, &ip::RESTRICTION).await,
        "accounts" => accounts::perform(call).await,
        "users" => users::users(call).await,
        "memberships" => users::memberships(call).await,
        "application-users" => visitors::none::<ApplicationUserId>(call),
        "application-sessions" => visitors::none::<ApplicationSessionId>(call),
        "abuse-reports" => crud::perform(call, &abuse::REPORT).await,
        _ => Err(not_found()),
    }
}
