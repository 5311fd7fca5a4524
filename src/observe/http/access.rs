//! Who may do what: decided for each request before anything else looks at it.
//!
//! A browser of somebody who visits a hostile page sits behind every firewall. Two things keep such a page out: an
//! `Origin` (or `Sec-Fetch-Site`) that is not ours is refused, and on a loopback address so is a `Host` that is not a
//! name of this machine, which is what DNS rebinding needs.
//!
//! | bound to | `rest.token` | looking | changing |
//! |---|---|---|---|
//! | loopback | unset | yes | yes |
//! | loopback | set | yes | with the token |
//! | other | unset | yes | no |
//! | other | set | yes | with the token |

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::answer::Refused;
use crate::config::Secret;

/// The longest path and query that is meant asks for some dozens of metrics.
const URI_BYTES_MAX: usize = 8 << 10;
/// How long a request may take, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What was configured.
pub(in crate::observe) struct Access {
    loopback: bool,
    token: Option<Secret>,
}

impl Access {
    pub(in crate::observe) fn new(bound: IpAddr, token: Option<Secret>) -> Self {
        Self {
            loopback: bound.is_loopback(),
            token,
        }
    }

    /// Who may change something, in a word: everybody, whoever has the token, or nobody.
    pub(super) fn changing(&self) -> &'static str {
        match (&self.token, self.loopback) {
            (Some(_), _) => "token",
            (None, true) => "yes",
            (None, false) => "no",
        }
    }

    fn decide(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let forbidden = |reason: &str| Err(Refused::new(StatusCode::FORBIDDEN, reason));
        let host = text(headers, &HOST);
        if self.loopback && host.is_some_and(|host| !is_this_machine(host)) {
            return forbidden(
                "the Host of this request is no name of this machine: ask 127.0.0.1 or localhost",
            );
        }
        let foreign = text(headers, &ORIGIN).is_some_and(|origin| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_none() || authority != host
        });
        if foreign || text(headers, &SEC_FETCH_SITE) == Some("cross-site") {
            return forbidden("requests of other sites' pages are refused");
        }
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        match &self.token {
            None if self.loopback => Ok(()),
            None => forbidden(
                "nothing can be changed through an address that others can reach unless rest.token is set",
            ),
            Some(token) => {
                let given = text(headers, &AUTHORIZATION).and_then(|h| h.strip_prefix("Bearer "));
                match given {
                    Some(given) if same(given, token.reveal()) => Ok(()),
                    _ => Err(Refused::new(
                        StatusCode::UNAUTHORIZED,
                        "this needs the token of rest.token (Authorization: Bearer TOKEN)",
                    )),
                }
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is no text is not ours either.
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or("?"))
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Compares without telling by its time how much was right.
fn same(a: &str, b: &str) -> bool {
    let differ = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differ == 0
}

/// The first and the last to see a request.
pub(in crate::observe) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    let mut response = if length > URI_BYTES_MAX {
        Refused::new(StatusCode::URI_TOO_LONG, "the path or query is too long").into_response()
    } else {
        match access.decide(request.method(), request.headers()) {
            Err(refused) => refused.into_response(),
            Ok(()) => timeout(REQUEST_TIMEOUT, next.run(request))
                .await
                .unwrap_or_else(|_| {
                    Refused::new(StatusCode::REQUEST_TIMEOUT, "this took too long").into_response()
                }),
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bound: &str, token: Option<&str>) -> Access {
        Access::new(bound.parse().unwrap(), token.map(Secret::new))
    }

    fn headers(list: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    fn status(access: &Access, method: Method, list: &[(&HeaderName, &str)]) -> u16 {
        match access.decide(&method, &headers(list)) {
            Ok(()) => 200,
            Err(refused) => refused.status.as_u16(),
        }
    }

    #[test]
    fn the_table_of_who_may_change_something() {
        let ours = (&HOST, "localhost:8081");
        let token = (&AUTHORIZATION, "Bearer right");
        let wrong = (&AUTHORIZATION, "Bearer righ");
        let cases: [(&str, Option<&str>, &[_], u16); 9] = [
            ("127.0.0.1", None, &[ours], 200),
            ("::1", None, &[ours], 200),
            ("127.0.0.1", Some("right"), &[ours], 401),
            ("127.0.0.1", Some("right"), &[ours, wrong], 401),
            ("127.0.0.1", Some("right"), &[ours, token], 200),
            ("0.0.0.0", None, &[ours], 403),
            ("0.0.0.0", None, &[ours, token], 403),
            ("0.0.0.0", Some("right"), &[ours], 401),
            ("0.0.0.0", Some("right"), &[ours, token], 200),
        ];
        for (bound, configured, list, expected) in cases {
            let access = access(bound, configured);
            for method in [Method::POST, Method::PATCH, Method::DELETE, Method::PUT] {
                let found = status(&access, method, list);
                assert_eq!(found, expected, "{bound} {configured:?} {list:?}");
            }
            assert_eq!(status(&access, Method::GET, list), 200, "looking");
        }
    }

    #[test]
    fn a_page_of_another_site_may_not_even_look() {
        let ours = (&HOST, "127.0.0.1:8081");
        for bound in ["127.0.0.1", "0.0.0.0"] {
            let access = access(bound, Some("right"));
            let token = (&AUTHORIZATION, "Bearer right");
            let get = |list: &[_]| status(&access, Method::GET, list);
            let site = SEC_FETCH_SITE;
            assert_eq!(get(&[ours, (&ORIGIN, "http://127.0.0.1:8081")]), 200);
            for origin in ["http://evil.example", "http://127.0.0.1:9000", "null", ""] {
                assert_eq!(get(&[ours, token, (&ORIGIN, origin)]), 403, "{origin}");
            }
            assert_eq!(get(&[ours, token, (&site, "cross-site")]), 403);
            assert_eq!(get(&[ours, (&site, "same-origin")]), 200);
        }
    }

    #[test]
    fn on_loopback_a_host_that_is_no_name_of_this_machine_is_refused() {
        let loopback = access("127.0.0.1", None);
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:80",
            "127.1.2.3",
            "[::1]:8081",
        ] {
            assert_eq!(
                status(&loopback, Method::GET, &[(&HOST, host)]),
                200,
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8081",
            "10.0.0.1",
            "",
            "a b",
        ] {
            assert_eq!(
                status(&loopback, Method::GET, &[(&HOST, host)]),
                403,
                "{host}"
            );
        }
        let open = access("0.0.0.0", None);
        let service = [(&HOST, "calve.pipelines.svc:8081")];
        assert_eq!(status(&open, Method::GET, &service), 200);
    }
}
