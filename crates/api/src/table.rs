//! The list of every operation.
//!
//! A line has the name of the operation, its name as a command, the right it needs, method, path, what is sent and what comes back.

use http::Method;

use crate::filter_fields::*;
use crate::operation::{Answer, Body, BodyType, List, Permission, Spec};
use crate::resources::account::*;
use crate::resources::certificates::*;
use crate::resources::credentials::*;
use crate::resources::event_targets::EventDestination;
use crate::resources::events::*;
use crate::resources::ip::*;
use crate::resources::names::*;
use crate::resources::online::*;
use crate::resources::portway::*;
use crate::resources::ssh::*;
use crate::resources::vaults::*;
use crate::resources::visitors::*;

macro_rules! operations {
    ($(
        #[doc = $doc:literal]
        $name:ident $command:literal $permission:ident $method:ident $path:literal
            $body:ident($($sent:ty)?) $answer:ident($($given:ty $(, $key:literal $(, $filter:ident)?)?)?);
    )+) => {
        /// Every operation of the interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = $doc] $name,)+
        }

        /// Every operation's description, in the order of the enum.
        static SPECS: &[Spec] = &[$(
            Spec {
                operation: Operation::$name,
                name: $command,
                summary: $doc,
                method: Method::$method,
                path: $path,
                permission: Permission::$permission,
                body: body!($body $($sent)?),
                answer: answer!($answer $($given $(, $key $(, $filter)?)?)?),
            },
        )+];
    };
}

macro_rules! body {
    (none) => {
        Body::None
    };
    (empty) => {
        Body::Empty
    };
    (json $body:ty) => {
        Body::Json(BodyType::of::<$body>())
    };
}

macro_rules! answer {
    (created $reply:ty) => {
        Answer::Created(<$reply as crate::Described>::schema)
    };
    (object $reply:ty) => {
        Answer::Object(<$reply as crate::Described>::schema)
    };
    (page $reply:ty, $key:literal, $filter:ident) => {
        Answer::Page(List { key: $key, item: <$reply as crate::Described>::schema, filter: $filter })
    };
    (all $reply:ty, $key:literal) => {
        Answer::All(List { key: $key, item: <$reply as crate::Described>::schema, filter: NONE })
    };
    (nothing) => {
        Answer::Nothing
    };
}

operations! {
    /// Says where the resources are.
    RootGet "root get" Read GET "/" none() object(Root);
    /// Says who the caller is.
    SelfGet "self get" Read GET "/self" none() object(Caller);
    /// Reserves a domain.
    ReservedDomainsCreate "reserved-domains create" Write POST "/reserved_domains" json(ReservedDomainCreate) created(ReservedDomain);
    /// Lists reserved domains.
    ReservedDomainsList "reserved-domains list" Read GET "/reserved_domains" none() page(ReservedDomain, "reserved_domains", RESERVED_DOMAINS);
    /// Gives a reserved domain.
    ReservedDomainsGet "reserved-domains get" Read GET "/reserved_domains/{id}" none() object(ReservedDomain);
    /// Changes a reserved domain.
    ReservedDomainsUpdate "reserved-domains update" Write PATCH "/reserved_domains/{id}" json(ReservedDomainUpdate) object(ReservedDomain);
    /// Deletes a reserved domain.
    ReservedDomainsDelete "reserved-domains delete" Write DELETE "/reserved_domains/{id}" none() nothing();
    /// Detaches the certificate of a reserved domain.
    ReservedDomainsDeleteCertificate "reserved-domains delete-certificate" Write DELETE "/reserved_domains/{id}/certificate" none() nothing();
    /// Detaches the policy for managed certificates of a reserved domain.
    ReservedDomainsDeleteCertificateManagementPolicy "reserved-domains delete-certificate-management-policy" Write DELETE "/reserved_domains/{id}/certificate_management_policy" none() nothing();
    /// Reserves a TCP address.
    ReservedAddrsCreate "reserved-addrs create" Write POST "/reserved_addrs" json(ReservedAddrCreate) created(ReservedAddr);
    /// Lists reserved addresses.
    ReservedAddrsList "reserved-addrs list" Read GET "/reserved_addrs" none() page(ReservedAddr, "reserved_addrs", RESERVED_ADDRS);
    /// Gives a reserved address.
    ReservedAddrsGet "reserved-addrs get" Read GET "/reserved_addrs/{id}" none() object(ReservedAddr);
    /// Changes a reserved address.
    ReservedAddrsUpdate "reserved-addrs update" Write PATCH "/reserved_addrs/{id}" json(ReservedAddrUpdate) object(ReservedAddr);
    /// Deletes a reserved address.
    ReservedAddrsDelete "reserved-addrs delete" Write DELETE "/reserved_addrs/{id}" none() nothing();
    /// Creates a connect URL.
    AgentIngressesCreate "agent-ingresses create" Write POST "/agent_ingresses" json(AgentIngressCreate) created(AgentIngress);
    /// Lists connect URLs.
    AgentIngressesList "agent-ingresses list" Read GET "/agent_ingresses" none() page(AgentIngress, "ingresses", AGENT_INGRESSES);
    /// Gives a connect URL.
    AgentIngressesGet "agent-ingresses get" Read GET "/agent_ingresses/{id}" none() object(AgentIngress);
    /// Changes a connect URL.
    AgentIngressesUpdate "agent-ingresses update" Write PATCH "/agent_ingresses/{id}" json(AgentIngressUpdate) object(AgentIngress);
    /// Deletes a connect URL.
    AgentIngressesDelete "agent-ingresses delete" Write DELETE "/agent_ingresses/{id}" none() nothing();
    /// Uploads a certificate with its key.
    TlsCertificatesCreate "tls-certificates create" Write POST "/tls_certificates" json(TlsCertificateCreate) created(TlsCertificate);
    /// Lists certificates.
    TlsCertificatesList "tls-certificates list" Read GET "/tls_certificates" none() page(TlsCertificate, "tls_certificates", TLS_CERTIFICATES);
    /// Gives a certificate.
    TlsCertificatesGet "tls-certificates get" Read GET "/tls_certificates/{id}" none() object(TlsCertificate);
    /// Changes a certificate.
    TlsCertificatesUpdate "tls-certificates update" Write PATCH "/tls_certificates/{id}" json(TlsCertificateUpdate) object(TlsCertificate);
    /// Deletes a certificate.
    TlsCertificatesDelete "tls-certificates delete" Write DELETE "/tls_certificates/{id}" none() nothing();
    /// Uploads a certificate authority.
    CertificateAuthoritiesCreate "certificate-authorities create" Write POST "/certificate_authorities" json(CertificateAuthorityCreate) created(CertificateAuthority);
    /// Lists certificate authorities.
    CertificateAuthoritiesList "certificate-authorities list" Read GET "/certificate_authorities" none() page(CertificateAuthority, "certificate_authorities", CERTIFICATE_AUTHORITIES);
    /// Gives a certificate authority.
    CertificateAuthoritiesGet "certificate-authorities get" Read GET "/certificate_authorities/{id}" none() object(CertificateAuthority);
    /// Changes a certificate authority.
    CertificateAuthoritiesUpdate "certificate-authorities update" Write PATCH "/certificate_authorities/{id}" json(CertificateAuthorityUpdate) object(CertificateAuthority);
    /// Deletes a certificate authority.
    CertificateAuthoritiesDelete "certificate-authorities delete" Write DELETE "/certificate_authorities/{id}" none() nothing();
    /// Creates an IP policy.
    IpPoliciesCreate "ip-policies create" Write POST "/ip_policies" json(IpPolicyCreate) created(IpPolicy);
    /// Lists IP policies.
    IpPoliciesList "ip-policies list" Read GET "/ip_policies" none() page(IpPolicy, "ip_policies", BASE);
    /// Gives an IP policy.
    IpPoliciesGet "ip-policies get" Read GET "/ip_policies/{id}" none() object(IpPolicy);
    /// Changes an IP policy.
    IpPoliciesUpdate "ip-policies update" Write PATCH "/ip_policies/{id}" json(IpPolicyUpdate) object(IpPolicy);
    /// Deletes an IP policy.
    IpPoliciesDelete "ip-policies delete" Write DELETE "/ip_policies/{id}" none() nothing();
    /// Creates a rule of an IP policy.
    IpPolicyRulesCreate "ip-policy-rules create" Write POST "/ip_policy_rules" json(IpPolicyRuleCreate) created(IpPolicyRule);
    /// Lists rules of IP policies.
    IpPolicyRulesList "ip-policy-rules list" Read GET "/ip_policy_rules" none() page(IpPolicyRule, "ip_policy_rules", IP_POLICY_RULES);
    /// Gives a rule of an IP policy.
    IpPolicyRulesGet "ip-policy-rules get" Read GET "/ip_policy_rules/{id}" none() object(IpPolicyRule);
    /// Changes a rule of an IP policy.
    IpPolicyRulesUpdate "ip-policy-rules update" Write PATCH "/ip_policy_rules/{id}" json(IpPolicyRuleUpdate) object(IpPolicyRule);
    /// Deletes a rule of an IP policy.
    IpPolicyRulesDelete "ip-policy-rules delete" Write DELETE "/ip_policy_rules/{id}" none() nothing();
    /// Creates an IP restriction.
    IpRestrictionsCreate "ip-restrictions create" Write POST "/ip_restrictions" json(IpRestrictionCreate) created(IpRestriction);
    /// Lists IP restrictions.
    IpRestrictionsList "ip-restrictions list" Read GET "/ip_restrictions" none() page(IpRestriction, "ip_restrictions", BASE);
    /// Gives an IP restriction.
    IpRestrictionsGet "ip-restrictions get" Read GET "/ip_restrictions/{id}" none() object(IpRestriction);
    /// Changes an IP restriction.
    IpRestrictionsUpdate "ip-restrictions update" Write PATCH "/ip_restrictions/{id}" json(IpRestrictionUpdate) object(IpRestriction);
    /// Deletes an IP restriction.
    IpRestrictionsDelete "ip-restrictions delete" Write DELETE "/ip_restrictions/{id}" none() nothing();
    /// Creates an API key.
    ApiKeysCreate "api-keys create" Write POST "/api_keys" json(ApiKeyCreate) created(ApiKey);
    /// Lists API keys.
    ApiKeysList "api-keys list" Read GET "/api_keys" none() page(ApiKey, "keys", OWNED);
    /// Gives an API key.
    ApiKeysGet "api-keys get" Read GET "/api_keys/{id}" none() object(ApiKey);
    /// Changes an API key.
    ApiKeysUpdate "api-keys update" Write PATCH "/api_keys/{id}" json(ApiKeyUpdate) object(ApiKey);
    /// Deletes an API key.
    ApiKeysDelete "api-keys delete" Write DELETE "/api_keys/{id}" none() nothing();
    /// Creates an authtoken.
    CredentialsCreate "credentials create" Write POST "/credentials" json(CredentialCreate) created(Credential);
    /// Lists authtokens.
    CredentialsList "credentials list" Read GET "/credentials" none() page(Credential, "credentials", OWNED_WITH_ACL);
    /// Gives an authtoken.
    CredentialsGet "credentials get" Read GET "/credentials/{id}" none() object(Credential);
    /// Changes an authtoken.
    CredentialsUpdate "credentials update" Write PATCH "/credentials/{id}" json(CredentialUpdate) object(Credential);
    /// Deletes an authtoken.
    CredentialsDelete "credentials delete" Write DELETE "/credentials/{id}" none() nothing();
    /// Registers an SSH key.
    SshCredentialsCreate "ssh-credentials create" Write POST "/ssh_credentials" json(SshCredentialCreate) created(SshCredential);
    /// Lists SSH keys.
    SshCredentialsList "ssh-credentials list" Read GET "/ssh_credentials" none() page(SshCredential, "ssh_credentials", OWNED_WITH_ACL);
    /// Gives an SSH key.
    SshCredentialsGet "ssh-credentials get" Read GET "/ssh_credentials/{id}" none() object(SshCredential);
    /// Changes an SSH key.
    SshCredentialsUpdate "ssh-credentials update" Write PATCH "/ssh_credentials/{id}" json(SshCredentialUpdate) object(SshCredential);
    /// Deletes an SSH key.
    SshCredentialsDelete "ssh-credentials delete" Write DELETE "/ssh_credentials/{id}" none() nothing();
    /// Creates a service user.
    ServiceUsersCreate "service-users create" Write POST "/service_users" json(ServiceUserCreate) created(ServiceUser);
    /// Lists service users.
    ServiceUsersList "service-users list" Read GET "/service_users" none() page(ServiceUser, "service_users", SERVICE_USERS);
    /// Gives a service user.
    ServiceUsersGet "service-users get" Read GET "/service_users/{id}" none() object(ServiceUser);
    /// Changes a service user.
    ServiceUsersUpdate "service-users update" Write PATCH "/service_users/{id}" json(ServiceUserUpdate) object(ServiceUser);
    /// Deletes a service user.
    ServiceUsersDelete "service-users delete" Write DELETE "/service_users/{id}" none() nothing();
    /// Creates a service user under its older name.
    BotUsersCreate "bot-users create" Write POST "/bot_users" json(ServiceUserCreate) created(ServiceUser);
    /// Lists service users under their older name.
    BotUsersList "bot-users list" Read GET "/bot_users" none() page(ServiceUser, "bot_users", SERVICE_USERS);
    /// Gives a service user under its older name.
    BotUsersGet "bot-users get" Read GET "/bot_users/{id}" none() object(ServiceUser);
    /// Changes a service user under its older name.
    BotUsersUpdate "bot-users update" Write PATCH "/bot_users/{id}" json(ServiceUserUpdate) object(ServiceUser);
    /// Deletes a service user under its older name.
    BotUsersDelete "bot-users delete" Write DELETE "/bot_users/{id}" none() nothing();
    /// Lists endpoints.
    EndpointsList "endpoints list" Read GET "/endpoints" none() page(Endpoint, "endpoints", ENDPOINTS);
    /// Gives an endpoint.
    EndpointsGet "endpoints get" Read GET "/endpoints/{id}" none() object(Endpoint);
    /// Lists tunnels.
    TunnelsList "tunnels list" Read GET "/tunnels" none() page(Tunnel, "tunnels", NONE);
    /// Gives a tunnel.
    TunnelsGet "tunnels get" Read GET "/tunnels/{id}" none() object(Tunnel);
    /// Lists agents' sessions.
    TunnelSessionsList "tunnel-sessions list" Read GET "/tunnel_sessions" none() page(TunnelSession, "tunnel_sessions", TUNNEL_SESSIONS);
    /// Gives an agent's session.
    TunnelSessionsGet "tunnel-sessions get" Read GET "/tunnel_sessions/{id}" none() object(TunnelSession);
    /// Makes an agent start anew.
    TunnelSessionsRestart "tunnel-sessions restart" Write POST "/tunnel_sessions/{id}/restart" empty() nothing();
    /// Makes an agent stop.
    TunnelSessionsStop "tunnel-sessions stop" Write POST "/tunnel_sessions/{id}/stop" empty() nothing();
    /// Makes an agent update itself.
    TunnelSessionsUpdate "tunnel-sessions update" Write POST "/tunnel_sessions/{id}/update" json(TunnelSessionUpdate) nothing();
    /// Lists visitors who logged in.
    ApplicationUsersList "application-users list" Read GET "/app/users" none() page(ApplicationUser, "application_users", NONE);
    /// Gives a visitor who logged in.
    ApplicationUsersGet "application-users get" Read GET "/app/users/{id}" none() object(ApplicationUser);
    /// Deletes a visitor who logged in.
    ApplicationUsersDelete "application-users delete" Write DELETE "/app/users/{id}" none() nothing();
    /// Lists visitors' logins.
    ApplicationSessionsList "application-sessions list" Read GET "/app/sessions" none() page(ApplicationSession, "application_sessions", NONE);
    /// Gives a visitor's login.
    ApplicationSessionsGet "application-sessions get" Read GET "/app/sessions/{id}" none() object(ApplicationSession);
    /// Deletes a visitor's login.
    ApplicationSessionsDelete "application-sessions delete" Write DELETE "/app/sessions/{id}" none() nothing();
    /// Creates a vault.
    VaultsCreate "vaults create" Write POST "/vaults" json(VaultCreate) created(Vault);
    /// Lists vaults.
    VaultsList "vaults list" Read GET "/vaults" none() page(Vault, "vaults", NAMED);
    /// Gives a vault.
    VaultsGet "vaults get" Read GET "/vaults/{id}" none() object(Vault);
    /// Changes a vault.
    VaultsUpdate "vaults update" Write PATCH "/vaults/{id}" json(VaultUpdate) object(Vault);
    /// Deletes a vault.
    VaultsDelete "vaults delete" Write DELETE "/vaults/{id}" none() nothing();
    /// Lists the secrets of a vault.
    VaultsListSecrets "vaults list-secrets" Read GET "/vaults/{id}/secrets" none() page(Secret, "secrets", NAMED);
    /// Puts a secret into a vault.
    SecretsCreate "secrets create" Write POST "/vault_secrets" json(SecretCreate) created(Secret);
    /// Lists secrets.
    SecretsList "secrets list" Read GET "/vault_secrets" none() page(Secret, "secrets", NAMED);
    /// Gives a secret.
    SecretsGet "secrets get" Read GET "/vault_secrets/{id}" none() object(Secret);
    /// Changes a secret.
    SecretsUpdate "secrets update" Write PATCH "/vault_secrets/{id}" json(SecretUpdate) object(Secret);
    /// Deletes a secret.
    SecretsDelete "secrets delete" Write DELETE "/vault_secrets/{id}" none() nothing();
    /// Creates an SSH certificate authority.
    SshCertificateAuthoritiesCreate "ssh-certificate-authorities create" Write POST "/ssh_certificate_authorities" json(SshCertificateAuthorityCreate) created(SshCertificateAuthority);
    /// Lists SSH certificate authorities.
    SshCertificateAuthoritiesList "ssh-certificate-authorities list" Read GET "/ssh_certificate_authorities" none() page(SshCertificateAuthority, "ssh_certificate_authorities", BASE);
    /// Gives an SSH certificate authority.
    SshCertificateAuthoritiesGet "ssh-certificate-authorities get" Read GET "/ssh_certificate_authorities/{id}" none() object(SshCertificateAuthority);
    /// Changes an SSH certificate authority.
    SshCertificateAuthoritiesUpdate "ssh-certificate-authorities update" Write PATCH "/ssh_certificate_authorities/{id}" json(SshCertificateAuthorityUpdate) object(SshCertificateAuthority);
    /// Deletes an SSH certificate authority.
    SshCertificateAuthoritiesDelete "ssh-certificate-authorities delete" Write DELETE "/ssh_certificate_authorities/{id}" none() nothing();
    /// Signs an SSH host certificate.
    SshHostCertificatesCreate "ssh-host-certificates create" Write POST "/ssh_host_certificates" json(SshHostCertificateCreate) created(SshHostCertificate);
    /// Lists SSH host certificates.
    SshHostCertificatesList "ssh-host-certificates list" Read GET "/ssh_host_certificates" none() page(SshHostCertificate, "ssh_host_certificates", NONE);
    /// Gives an SSH host certificate.
    SshHostCertificatesGet "ssh-host-certificates get" Read GET "/ssh_host_certificates/{id}" none() object(SshHostCertificate);
    /// Changes an SSH host certificate.
    SshHostCertificatesUpdate "ssh-host-certificates update" Write PATCH "/ssh_host_certificates/{id}" json(SshHostCertificateUpdate) object(SshHostCertificate);
    /// Deletes an SSH host certificate.
    SshHostCertificatesDelete "ssh-host-certificates delete" Write DELETE "/ssh_host_certificates/{id}" none() nothing();
    /// Signs an SSH user certificate.
    SshUserCertificatesCreate "ssh-user-certificates create" Write POST "/ssh_user_certificates" json(SshUserCertificateCreate) created(SshUserCertificate);
    /// Lists SSH user certificates.
    SshUserCertificatesList "ssh-user-certificates list" Read GET "/ssh_user_certificates" none() page(SshUserCertificate, "ssh_user_certificates", NONE);
    /// Gives an SSH user certificate.
    SshUserCertificatesGet "ssh-user-certificates get" Read GET "/ssh_user_certificates/{id}" none() object(SshUserCertificate);
    /// Changes an SSH user certificate.
    SshUserCertificatesUpdate "ssh-user-certificates update" Write PATCH "/ssh_user_certificates/{id}" json(SshUserCertificateUpdate) object(SshUserCertificate);
    /// Deletes an SSH user certificate.
    SshUserCertificatesDelete "ssh-user-certificates delete" Write DELETE "/ssh_user_certificates/{id}" none() nothing();
    /// Creates an event destination.
    EventDestinationsCreate "event-destinations create" Write POST "/event_destinations" json(EventDestinationCreate) created(EventDestination);
    /// Lists event destinations.
    EventDestinationsList "event-destinations list" Read GET "/event_destinations" none() page(EventDestination, "event_destinations", BASE);
    /// Gives an event destination.
    EventDestinationsGet "event-destinations get" Read GET "/event_destinations/{id}" none() object(EventDestination);
    /// Changes an event destination.
    EventDestinationsUpdate "event-destinations update" Write PATCH "/event_destinations/{id}" json(EventDestinationUpdate) object(EventDestination);
    /// Deletes an event destination.
    EventDestinationsDelete "event-destinations delete" Write DELETE "/event_destinations/{id}" none() nothing();
    /// Creates an event subscription.
    EventSubscriptionsCreate "event-subscriptions create" Write POST "/event_subscriptions" json(EventSubscriptionCreate) created(EventSubscription);
    /// Lists event subscriptions.
    EventSubscriptionsList "event-subscriptions list" Read GET "/event_subscriptions" none() page(EventSubscription, "event_subscriptions", BASE);
    /// Gives an event subscription.
    EventSubscriptionsGet "event-subscriptions get" Read GET "/event_subscriptions/{id}" none() object(EventSubscription);
    /// Changes an event subscription.
    EventSubscriptionsUpdate "event-subscriptions update" Write PATCH "/event_subscriptions/{id}" json(EventSubscriptionUpdate) object(EventSubscription);
    /// Deletes an event subscription.
    EventSubscriptionsDelete "event-subscriptions delete" Write DELETE "/event_subscriptions/{id}" none() nothing();
    /// Adds a type of events to a subscription.
    EventSourcesCreate "event-sources create" Write POST "/event_subscriptions/{subscription_id}/sources" json(EventSourceCreate) created(EventSource);
    /// Lists the types of events of a subscription.
    EventSourcesList "event-sources list" Read GET "/event_subscriptions/{subscription_id}/sources" none() all(EventSource, "sources");
    /// Gives a type of events of a subscription.
    EventSourcesGet "event-sources get" Read GET "/event_subscriptions/{subscription_id}/sources/{type}" none() object(EventSource);
    /// Changes a type of events of a subscription.
    EventSourcesUpdate "event-sources update" Write PATCH "/event_subscriptions/{subscription_id}/sources/{type}" json(EventSourceUpdate) object(EventSource);
    /// Takes a type of events from a subscription.
    EventSourcesDelete "event-sources delete" Write DELETE "/event_subscriptions/{subscription_id}/sources/{type}" none() nothing();
    /// Reports abuse.
    AbuseReportsCreate "abuse-reports create" Write POST "/abuse_reports" json(AbuseReportCreate) created(AbuseReport);
    /// Gives a report of abuse.
    AbuseReportsGet "abuse-reports get" Read GET "/abuse_reports/{id}" none() object(AbuseReport);
    /// Creates an account.
    AccountsCreate "accounts create" Admin POST "/portway/v1/accounts" json(AccountCreate) created(Account);
    /// Lists accounts.
    AccountsList "accounts list" Admin GET "/portway/v1/accounts" none() page(Account, "accounts", ACCOUNTS);
    /// Gives an account.
    AccountsGet "accounts get" Admin GET "/portway/v1/accounts/{id}" none() object(Account);
    /// Changes an account.
    AccountsUpdate "accounts update" Admin PATCH "/portway/v1/accounts/{id}" json(AccountUpdate) object(Account);
    /// Deletes an account.
    AccountsDelete "accounts delete" Admin DELETE "/portway/v1/accounts/{id}" none() nothing();
    /// Creates a user.
    UsersCreate "users create" Admin POST "/portway/v1/users" json(UserCreate) created(User);
    /// Lists users.
    UsersList "users list" Admin GET "/portway/v1/users" none() page(User, "users", USERS);
    /// Gives a user.
    UsersGet "users get" Admin GET "/portway/v1/users/{id}" none() object(User);
    /// Changes a user.
    UsersUpdate "users update" Admin PATCH "/portway/v1/users/{id}" json(UserUpdate) object(User);
    /// Deletes a user.
    UsersDelete "users delete" Admin DELETE "/portway/v1/users/{id}" none() nothing();
    /// Adds a user to the account.
    MembershipsCreate "memberships create" Admin POST "/portway/v1/memberships" json(MembershipCreate) created(Membership);
    /// Lists memberships.
    MembershipsList "memberships list" Read GET "/portway/v1/memberships" none() page(Membership, "memberships", MEMBERSHIPS);
    /// Gives a membership.
    MembershipsGet "memberships get" Read GET "/portway/v1/memberships/{id}" none() object(Membership);
    /// Changes a membership.
    MembershipsUpdate "memberships update" Admin PATCH "/portway/v1/memberships/{id}" json(MembershipUpdate) object(Membership);
    /// Deletes a membership.
    MembershipsDelete "memberships delete" Admin DELETE "/portway/v1/memberships/{id}" none() nothing();
    /// Lists the audit log.
    AuditLogList "audit-log list" Admin GET "/portway/v1/audit_log" none() page(AuditEntry, "audit_log", AUDIT_LOG);
    /// Gives a line of the audit log.
    AuditLogGet "audit-log get" Admin GET "/portway/v1/audit_log/{id}" none() object(AuditEntry);
    /// Gives the settings of the account.
    SettingsGet "settings get" Read GET "/portway/v1/settings" none() object(Settings);
    /// Changes the settings of the account.
    SettingsUpdate "settings update" Admin PATCH "/portway/v1/settings" json(SettingsUpdate) object(Settings);
    /// Lists the edges.
    EdgesList "edges list" Admin GET "/portway/v1/edges" none() all(Edge, "edges");
    /// Gives an edge.
    EdgesGet "edges get" Admin GET "/portway/v1/edges/{id}" none() object(Edge);
    /// Lists the regions.
    RegionsList "regions list" Read GET "/portway/v1/regions" none() all(RegionReply, "regions");
    /// Makes a backup.
    BackupsCreate "backups create" Admin POST "/portway/v1/backups" empty() created(Backup);
    /// Lists the backups.
    BackupsList "backups list" Admin GET "/portway/v1/backups" none() page(Backup, "backups", NONE);
    /// Gives a backup.
    BackupsGet "backups get" Admin GET "/portway/v1/backups/{id}" none() object(Backup);
    /// Deletes a backup and its file.
    BackupsDelete "backups delete" Admin DELETE "/portway/v1/backups/{id}" none() nothing();
}

impl Operation {
    /// Every operation's description.
    pub fn all() -> &'static [Spec] {
        SPECS
    }

    /// What is written down about it.
    pub fn spec(self) -> &'static Spec {
        // The enum and the list are made from the same lines.
        &SPECS[self as usize]
    }
}
