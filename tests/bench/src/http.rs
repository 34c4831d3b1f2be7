//! The little HTTP/1.1 that a load generator needs.
//!
//! A client library would cost as much CPU as what is measured, on the same cores.

use anyhow::{Context as _, Result, bail};
use std::{fmt::Write as _, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A response.
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Its body, without the chunks' frames.
    pub(crate) body: Vec<u8>,
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A connection that is kept open between requests.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 << 10) })
    }

    /// Sends a request and waits for the whole response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        self.stream.write_all(request).await?;
        loop {
            if let Some((reply, used)) = parse(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }
}

/// The response at the beginning of what was read and its length there; `None` while parts
/// of it are still to come.
fn parse(read: &[u8]) -> Result<Option<(Reply, usize)>> {
    let Some(head_end) = find(read, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&read[..head_end])?;
    let (mut length, mut chunked) = (None, false);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    for line in lines {
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    let start = head_end + 4;
    if chunked {
        return Ok(unchunk(&read[start..])?.map(|(body, used)| (Reply { status, body }, start + used)));
    }
    let length = match length {
        Some(length) => length,
        None if status == 204 => 0,
        None => bail!("a response of unknown length"),
    };
    let body = read.get(start..start + length).map(<[u8]>::to_vec);
    Ok(body.map(|body| (Reply { status, body }, start + length)))
}

/// A chunked body without trailers (RFC 9112 section 7.1), and its length on the wire.
fn unchunk(read: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&read[at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&read[at..at + line])?.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).context("not the size of a chunk")?;
        let start = at + line + 2;
        let Some(chunk) = read.get(start..start + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Where `what` begins.
pub(crate) fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_when_it_is_whole_and_not_before() {
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let chunks =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n".as_slice();
        for whole in [length, chunks] {
            for part in 0..whole.len() {
                assert!(parse(&whole[..part]).unwrap().is_none(), "after {part} bytes");
            }
            let (reply, used) = parse(&[whole, b"HTTP/1.1 500"].concat()).unwrap().unwrap();
            assert_eq!((reply.status, reply.body.as_slice(), used), (200, b"hello".as_slice(), whole.len()));
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
