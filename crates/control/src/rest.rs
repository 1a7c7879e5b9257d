//! The REST interface: what a request leads to, whatever carries it.
//!
//! Contract, bodies and errors are in `portway-api`; here is who may do what, and what it changes.

mod abuse;
mod accounts;
mod addrs;
mod admission;
mod audit_log;
mod backups;
mod call;
mod caller;
mod certificates;
mod credentials;
mod crud;
mod dispatch;
mod domains;
mod entry;
mod event_destinations;
mod event_subscriptions;
mod ingresses;
mod installation;
mod ip;
mod kind;
mod lockout;
mod managed;
mod online;
mod owner;
mod page;
mod rate;
mod refusal;
mod service_users;
mod settings;
mod ssh_certificates;
mod users;
mod vaults;
mod visitors;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use portway_api::{
    BaseUrl, ErrorBody, MAX_BODY_LEN, OPERATION_ID, Query, Route, api_key, check_content, check_version, cors_headers,
    method_list, not_found, openapi, preflight, route,
};
use portway_codes::{Code, PublicError};
use portway_names::OperationId;
use portway_store::Timestamp;

use crate::ControlService;
use crate::random;
use crate::service::Inner;
use admission::Admission;
use call::Call;
pub(crate) use kind::{Kept, content};
use rate::Budgets;
pub use rate::RateLimit;

/// Where the OpenAPI document is found. It says nothing about the installation, so nobody has to sign in for it.
const OPENAPI_PATH: &str = "/openapi.json";

/// Stands in the OpenAPI document where the address of the interface belongs.
const NOWHERE: &str = "https://nowhere.invalid";

/// The REST interface of a control plane. Cheap to clone; all clones count calls together.
#[derive(Debug, Clone)]
pub struct RestApi {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    admission: Admission,
    budgets: Budgets,
    /// The document for [`NOWHERE`]: making one takes milliseconds, and anybody may ask.
    openapi: OnceLock<String>,
}

impl RestApi {
    /// The interface. `rate` is for calls from elsewhere than this host.
    pub fn new(service: &ControlService, rate: RateLimit) -> RestApi {
        let (inner, budgets) = (Arc::clone(&service.inner), Budgets::new(rate));
        let shared = Shared { inner, admission: Admission::new(), budgets, openapi: OnceLock::new() };
        RestApi { shared: Arc::new(shared) }
    }

    /// Bytes of the longest body that is looked at; a carrier need not read more.
    pub const MAX_BODY_LEN: usize = MAX_BODY_LEN;

    /// Answers a request that came from `peer`. The body is what a future yields, whole; it is waited for when the caller is known and may
    /// call, so that strangers have nothing read. `base` is where the interface is reached, and stands in every address that it gives out.
    ///
    /// # Cancel safety
    /// A change that was begun happens or does not, and what follows from it may not: run it to its end.
    pub async fn answer<B>(&self, peer: IpAddr, base: &BaseUrl, request: Request<B>) -> Response<Bytes>
    where
        B: Future<Output = Result<Bytes, PublicError>>,
    {
        let now = Timestamp::now();
        let id = OperationId::new(random::ksuid(now));
        let (head, body) = request.into_parts();
        let (method, path) = (&head.method, head.uri.path());
        let mut response = match preflight(method, path, &head.headers) {
            Some(headers) => empty(StatusCode::NO_CONTENT, headers),
            None if path == OPENAPI_PATH && *method == Method::GET => self.openapi(base),
            None => match self.perform(peer, base, &head, body, id, now).await {
                Ok(response) => response,
                Err(error) => refusal(&error, id, method, path),
            },
        };
        finish(&mut response, id, &head.headers);
        response
    }

    async fn perform(
        &self,
        peer: IpAddr,
        base: &BaseUrl,
        head: &Parts,
        body: impl Future<Output = Result<Bytes, PublicError>>,
        id: OperationId,
        now: Timestamp,
    ) -> Result<Response<Bytes>, PublicError> {
        let (uri, headers) = (&head.uri, &head.headers);
        let (operation, parameters) = match route(&head.method, uri.path()) {
            Route::Found(operation, parameters) => (operation, parameters),
            Route::OtherMethods(_) => return Err(Code::ERR_PORTWAY_40501.plain()),
            Route::Nowhere => return Err(not_found()),
        };
        let Shared { inner, admission, budgets, .. } = &*self.shared;
        let caller = caller::find(inner, &api_key(headers)?).await?;
        admission.admit(&inner.store, caller.account, peer).await?;
        let _under_way = budgets.spend(caller.account, peer)?;
        check_version(headers)?;
        let body = &body.await?;
        check_content(headers, operation, body)?;
        let query = Query::read(operation, uri.query().unwrap_or(""))?;
        caller.permit(operation.spec().permission)?;
        let path = uri.path();
        let calls_per_minute = budgets.calls;
        let call = Call {
            calls_per_minute,
            inner,
            base,
            operation,
            id,
            caller,
            peer,
            parameters,
            query,
            path,
            headers,
            body,
            now,
        };
        let answer = dispatch::perform(&call).await?;
        let status = operation.spec().answer.status();
        Ok(match answer {
            call::Answer::Nothing => empty(status, HeaderMap::new()),
            call::Answer::Object(value) => json(status, serde_json::to_vec(&value).expect("a value is JSON").into()),
        })
    }

    fn openapi(&self, base: &BaseUrl) -> Response<Bytes> {
        let document = self.shared.openapi.get_or_init(|| {
            let nowhere = NOWHERE.parse().expect("a valid constant");
            openapi(&nowhere, env!("CARGO_PKG_VERSION"), &self.shared.inner.names.regions()).to_string()
        });
        json(StatusCode::OK, document.replace(NOWHERE, &base.to_string()).into())
    }

    /// The answer to a request whose body could not be had whole, or that names no host.
    pub fn refuse(&self, head: &Parts, error: &PublicError) -> Response<Bytes> {
        let id = OperationId::new(random::ksuid(Timestamp::now()));
        let mut response = refusal(error, id, &head.method, head.uri.path());
        finish(&mut response, id, &head.headers);
        response
    }
}

/// What stands in the head of every response.
fn finish(response: &mut Response<Bytes>, id: OperationId, request: &HeaderMap) {
    let headers = response.headers_mut();
    headers.extend(cors_headers(request));
    headers.insert(OPERATION_ID, HeaderValue::try_from(id.to_string()).expect("an id is ASCII"));
}

fn refusal(error: &PublicError, id: OperationId, method: &Method, path: &str) -> Response<Bytes> {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&ErrorBody::new(error, id)).expect("an error body is JSON");
    let mut response = json(status, body.into());
    let headers = response.headers_mut();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            if let Route::OtherMethods(methods) = route(method, path) {
                headers.insert(ALLOW, method_list(&methods));
            }
        }
        // RFC 9110 section 11.6.1 wants it with every 401.
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(rate::RETRY_AFTER_SECS));
        }
        _ => {}
    }
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode, headers: HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
