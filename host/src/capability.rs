//! What a guest may reach: exactly what the files of this folder hand over. Everything absent is denied.

pub mod address;
pub mod client_certificate;
pub mod connection;
pub mod endpoint;
pub mod grant;
pub mod host_calls;
pub mod http;
pub mod network;
pub mod refused_logins;
pub mod tls;

pub(crate) mod log;
pub(crate) mod random;
pub(crate) mod secret;

#[cfg(test)]
mod test_server;
