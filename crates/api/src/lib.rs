//! The REST contract: operations, bodies, paging, filters, errors and the OpenAPI document, compatible with ngrok's clients.
//!
//! It never serves, stores or decides anything: requests, ids and the time are arguments, the answer is a value. Everything is made from two
//! descriptions: the list of operations, and the fields of each body and reply. So the router, the checks and the document cannot differ.
//!
//! A server finds the operation with [`route`], checks headers with [`check_version`] and [`check_content`], reads the key with [`api_key`], the
//! query with [`Query::read`] and the body with [`read_body`], and answers with the types of replies, [`Query::page`] or an [`ErrorBody`].
//! A client makes requests with [`Call`] and reads what comes back with [`read_reply`].

mod arn;
mod call;
mod choice;
mod contact;
mod cors;
mod domain;
mod error_body;
mod event_types;
mod fault;
mod filter;
mod filter_fields;
mod headers;
mod ids;
mod keys;
mod network;
mod object;
mod openapi;
mod operation;
mod query;
mod resources;
mod route;
mod schema;
mod table;
mod timestamp;
mod uri;
mod value;

pub use arn::{BucketArn, FirehoseArn, LogGroupArn, RoleArn, StreamArn};
pub use call::{Call, CallError, ReplyError, read_reply};
pub use choice::{
    Authority, DeveloperRole, EventFormat, ManagedKeyType, RestrictionType, RuleAction, SshKeyType, TeamRole,
};
pub use contact::{Email, Url, WebUrl};
pub use cors::{cors_headers, method_list, preflight};
pub use domain::{Domain, IngressDomain};
pub use error_body::{ErrorBody, OPERATION_ID};
pub use event_types::EventType;
pub use fault::{Fault, FaultKind};
pub use filter::{Filter, FilterField, FilterScope, FilterText, MAX_FILTER_DEPTH, MAX_FILTER_LEN};
pub use headers::{FORCE, SERVED_VERSION, VERSION, api_key, check_content, check_version, is_forced};
pub use ids::{OwnerId, read_id};
pub use keys::{CertificatePem, PrivateKeyPem, ShownOnce, SshPublicKey};
pub use network::Network;
pub use openapi::openapi;
pub use operation::{Answer, Body, BodyType, List, Permission, SchemaOf, Spec};
pub use query::{MAX_PAGE, Query, whole_list};
pub use resources::account::*;
pub use resources::certificates::*;
pub use resources::credentials::*;
pub use resources::event_targets::*;
pub use resources::events::*;
pub use resources::ip::*;
pub use resources::names::*;
pub use resources::online::*;
pub use resources::portway::*;
pub use resources::ssh::*;
pub use resources::vaults::*;
pub use resources::visitors::*;
pub use route::{Parameters, Route, not_found, route};
pub use table::Operation;
pub use timestamp::Timestamp;
pub use uri::{BaseUrl, BaseUrlError, Ref};
pub use value::{
    Described, Description, Input, MAX_BODY_LEN, MAX_LIST_LEN, MAX_SECRET_LEN, Metadata, Schemas, Several, Text,
    Unserved, Word, read_body,
};
