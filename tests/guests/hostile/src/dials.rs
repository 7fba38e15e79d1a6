//! Connections to where the settings `endpoint` and `interface` say, in ways that cost the host or the service something.

use std::io::{Read, Write};

use windlass_sdk::{Failure, connection, http, setting};

/// What is sent first, so that whoever hears it knows from whom it is.
const HELLO: &[u8] = b"from-the-guest\r\n";

fn endpoint() -> String {
    setting("endpoint").unwrap_or_default()
}

/// Says hello to the endpoint and asks for no answer.
pub fn dials() -> Result<(), Failure> {
    match setting("interface").as_deref() {
        Some("http") => http::get(&endpoint(), "/from-the-guest").send().map(drop),
        Some(_) | None => Ok(connection::open(&endpoint())?.write_all(HELLO)?),
    }
}

/// The same on two connections, one after the other: between them, a name can get another address.
pub fn dials_twice() -> Result<(), Failure> {
    dials()?;
    dials()
}

/// Sends a request, and takes whatever comes.
pub fn requests() -> Result<(), Failure> {
    http::get(&endpoint(), "/").send().map(drop)
}

/// Sends a request again and again, until the host refuses.
pub fn requests_again_and_again() -> Result<(), Failure> {
    loop {
        requests()?;
    }
}

/// Sends a request until it is answered with a success.
pub fn requests_until_accepted() -> Result<(), Failure> {
    while http::get(&endpoint(), "/").send()?.ok().is_err() {}
    Ok(())
}

/// Sends two requests, takes whatever comes, and panics.
pub fn requests_twice_and_panics() -> Result<(), Failure> {
    requests()?;
    requests()?;
    panic!("this guest panics after two requests")
}

/// Says hello and reads whatever comes, until the service closes.
pub fn reads_without_end() -> Result<(), Failure> {
    let mut connection = connection::open(&endpoint())?;
    connection.write_all(HELLO)?;
    while connection.read(&mut [0; 64])? > 0 {}
    Ok(())
}

/// Opens connections and closes none.
pub fn opens_and_keeps_connections() -> Result<(), Failure> {
    let mut open = Vec::new();
    loop {
        open.push(connection::open(&endpoint())?);
    }
}

/// Opens connections and closes each at once.
pub fn opens_and_closes_connections() -> Result<(), Failure> {
    loop {
        drop(connection::open(&endpoint())?);
    }
}
