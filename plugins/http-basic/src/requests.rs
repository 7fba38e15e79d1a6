//! The two requests, as the operator's settings describe them, and what their answers mean.

use windlass_sdk::http::{Request, Response};
use windlass_sdk::text::{decimal, joined};
use windlass_sdk::{Failure, http, setting};

use crate::codes::Codes;
use crate::template::{self, Language, Values};

/// Logs in.
///
/// # Errors
///
/// `unsupported` for settings that do not make a request; else those of [`template::fill`].
pub fn login(values: &Values) -> Result<Request, Failure> {
    let path = path("login_path", values)?;
    with_headers(begin("login_method", path)?)
}

/// Changes the password.
///
/// # Errors
///
/// As [`login`].
pub fn change(values: &Values) -> Result<Request, Failure> {
    let target = path("change_path", values)?;
    let body = setting("change_body").unwrap_or_default();
    if !template::mentions(&required("change_path")?, "password") && !template::mentions(&body, "password") {
        return Err(Failure::unsupported(
            "the new password, `{password}`, is neither in the setting `change_body` nor in `change_path`",
        ));
    }
    let request = with_headers(begin("change_method", target)?)?;
    if body.is_empty() {
        return Ok(request);
    }
    let content_type = required("change_content_type")?;
    let Some(language) = Language::of(&content_type) else {
        return Err(Failure::unsupported(
            "the setting `change_content_type` is none of application/json, application/x-www-form-urlencoded and text/plain",
        ));
    };
    let body = template::fill("change_body", &body, language, values)?;
    Ok(request.header("content-type", content_type).body(body))
}

/// What an answer's status code means.
pub struct Meaning {
    /// The setting that lists the codes of success.
    setting: &'static str,
    success: Codes,
    unauthorized: Codes,
    rejected: Codes,
}

impl Meaning {
    /// Reads the lists of codes; that of success from the setting of this name.
    ///
    /// # Errors
    ///
    /// `unsupported` if one is no list of codes, or there is no success.
    pub fn read(setting: &'static str) -> Result<Self, Failure> {
        let success = codes(setting)?;
        if success.is_empty() {
            return Err(wrong(setting, "lists no code"));
        }
        Ok(Self { setting, success, unauthorized: codes("unauthorized_codes")?, rejected: codes("rejected_codes")? })
    }

    /// Whether the answer is a success.
    ///
    /// # Errors
    ///
    /// What the settings say of the code, else what the SDK says of it ([`Response::ok`]); a success that they do not list is none.
    pub fn judge(&self, answer: Response) -> Result<(), Failure> {
        let status = answer.status();
        if self.success.contains(status) {
            return Ok(());
        }
        let number = decimal(status.into());
        let said = |by: &str, lists: &str| joined(&["the service answered ", &number, ", which the setting `", by, lists]);
        if self.unauthorized.contains(status) {
            return Err(Failure::unauthorized(said("unauthorized_codes", "` lists")));
        }
        if self.rejected.contains(status) {
            return Err(Failure::rejected(said("rejected_codes", "` lists")));
        }
        answer.ok()?;
        Err(Failure::internal(said(self.setting, "` does not list")))
    }
}

fn codes(name: &str) -> Result<Codes, Failure> {
    Codes::parse(&setting(name).unwrap_or_default()).ok_or_else(|| wrong(name, "is no list of status codes"))
}

fn path(name: &'static str, values: &Values) -> Result<String, Failure> {
    let template = required(name)?;
    if !template.starts_with('/') {
        return Err(wrong(name, "does not begin with a slash"));
    }
    template::fill(name, &template, Language::Path, values)
}

fn begin(method: &'static str, path: String) -> Result<Request, Failure> {
    let begin = match required(method)?.as_str() {
        "GET" => http::get,
        "PUT" => http::put,
        "POST" => http::post,
        "PATCH" => http::patch,
        "DELETE" => http::delete,
        _ => return Err(wrong(method, "is none of GET, PUT, POST, PATCH and DELETE")),
    };
    Ok(begin("api", path))
}

/// Adds the lines of the setting `headers`.
fn with_headers(mut request: Request) -> Result<Request, Failure> {
    let lines = setting("headers").unwrap_or_default();
    for line in lines.split(['\n']).filter(|line| !line.trim_ascii().is_empty()) {
        let Some((name, value)) = line.split_once([':']) else { return Err(wrong("headers", "has a line without a colon")) };
        let name = name.trim_ascii();
        // Said twice, either would leave it to the service which one counts.
        if ["authorization", "content-type"].iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
            return Err(wrong("headers", "has a header that the plugin sets itself"));
        }
        request = request.header(name, value.trim_ascii());
    }
    Ok(request)
}

fn required(name: &str) -> Result<String, Failure> {
    setting(name).filter(|value| !value.is_empty()).ok_or_else(|| wrong(name, "is missing: the secret's rule has to say it"))
}

fn wrong(name: &str, why: &str) -> Failure {
    Failure::unsupported(joined(&["the setting `", name, "` ", why]))
}
