# The resources of the Terraform provider, each labelled as in resources.json (compat/README.md describes both).
terraform {
  required_providers {
    ngrok = { source = "ngrok/ngrok" }
  }
}

# Another one in a later run: what is there is changed, and nothing is made anew.
variable "metadata" {
  default = "m"
}

# Whether to ask for what the server refuses.
variable "refused" {
  default = false
}

variable "certificate" {}

variable "key" {
  sensitive = true
}

variable "ca" {}

resource "ngrok_ip_policy" "ip_policies" {
  description = "policy"
  metadata    = var.metadata
}

resource "ngrok_ip_policy_rule" "ip_policy_rules" {
  ip_policy_id = ngrok_ip_policy.ip_policies.id
  action       = "deny"
  cidr         = "203.0.113.0/24"
  metadata     = var.metadata
}

resource "ngrok_ip_policy_rule" "refused" {
  count        = var.refused ? 1 : 0
  ip_policy_id = ngrok_ip_policy.ip_policies.id
  action       = "deny"
  cidr         = "203.0.113.0"
}

resource "ngrok_ip_restriction" "ip_restrictions" {
  type          = "dashboard"
  ip_policy_ids = [ngrok_ip_policy.ip_policies.id]
  metadata      = var.metadata
}

resource "ngrok_tls_certificate" "tls_certificates" {
  certificate_pem = var.certificate
  private_key_pem = var.key
  metadata        = var.metadata
}

resource "ngrok_certificate_authority" "certificate_authorities" {
  ca_pem   = var.ca
  metadata = var.metadata
}

resource "ngrok_domain" "reserved_domains" {
  domain         = "terraform.compat.example"
  certificate_id = ngrok_tls_certificate.tls_certificates.id
  metadata       = var.metadata
}

resource "ngrok_tcp_address" "reserved_addrs" {
  description = "address"
  metadata    = var.metadata
}

resource "ngrok_agent_ingress" "agent_ingresses" {
  domain   = "terraform.connect.example"
  metadata = var.metadata
}

resource "ngrok_service_user" "service_users" {
  name   = "service ${var.metadata}"
  active = true
}

resource "ngrok_api_key" "api_keys" {
  owner_id    = ngrok_service_user.service_users.id
  description = "key"
  metadata    = var.metadata
}

resource "ngrok_credential" "credentials" {
  acl      = ["bind:terraform.compat.example"]
  metadata = var.metadata
}

resource "ngrok_ssh_credential" "ssh_credentials" {
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBnepz92YdFAzb3nLqSfsiqvs5TZo1+K3a34AuJ1eVJ"
  acl        = ["bind:terraform.compat.example"]
  metadata   = var.metadata
}

resource "ngrok_ssh_certificate_authority" "ssh_certificate_authorities" {
  private_key_type = "ed25519"
  metadata         = var.metadata
}

resource "ngrok_event_destination" "event_destinations" {
  format = "json"
  target = {
    datadog = {
      api_key = "0123456789abcdef0123456789abcdef"
      ddtags  = "env:compat"
      service = "terraform"
      ddsite  = "datadoghq.com"
    }
  }
  metadata = var.metadata
}

resource "ngrok_event_subscription" "event_subscriptions" {
  destination_ids = [ngrok_event_destination.event_destinations.id]
  sources         = [{ type = "ip_policy_created.v0" }]
  metadata        = var.metadata
}

resource "ngrok_vault" "vaults" {
  name     = "terraform"
  metadata = var.metadata
}

resource "ngrok_secret" "secrets" {
  name     = "secret"
  value    = "hidden"
  vault_id = ngrok_vault.vaults.id
  metadata = var.metadata
}
