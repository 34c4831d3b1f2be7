//! An HTTP client over `outbound`: requests built in a chain, answers read with few words.
//!
//! The service resolves names, checks them against the action's grants, connects, does TLS
//! and puts secrets in the place of their handles. None of that is in the component.

mod redirect;
mod request;
mod response;
pub mod retry_after;
pub mod url;

pub use redirect::{Followed, RedirectError, follow};
pub use request::is_token;

use crate::{HttpRequest, HttpResponse, OutboundError, outbound};

/// What sends a request. The service does; a test may do instead.
pub trait Transport {
    /// One request and the whole of its response. Redirects are not followed.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, OutboundError>;
}

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service;

impl Transport for Service {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, OutboundError> {
        outbound::send(request)
    }
}

impl<F> Transport for F
where
    F: Fn(&HttpRequest) -> Result<HttpResponse, OutboundError>,
{
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, OutboundError> {
        self(request)
    }
}
