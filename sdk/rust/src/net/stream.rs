//! A buffered connection whose reads are bounded in size and in time.

use super::{Address, Deadline, Dialer, Wire};
use crate::{OutboundError, TlsOptions};

/// What is asked for at once. TCP and TLS give less at a time.
const READ_BYTES: u32 = 64 << 10;

/// A connection with a buffer.
///
/// All of it is done by one [`Deadline`]: a remote that sends a byte now and then does not keep it open.
#[derive(Debug)]
pub struct Stream<W> {
    wire: W,
    buffer: Vec<u8>,
    /// How much of the buffer is read.
    at: usize,
    deadline: Deadline,
}

impl<W: Wire> Stream<W> {
    /// Connects, with TLS from the first byte where options are given.
    pub fn open<D: Dialer<Wire = W>>(
        dialer: &D,
        address: &Address,
        tls: Option<&TlsOptions>,
        deadline: Deadline,
    ) -> Result<Self, OutboundError> {
        Ok(Self { wire: dialer.dial(address, tls)?, buffer: Vec::new(), at: 0, deadline })
    }

    /// When it has to be done.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Puts TLS over it. What the remote sent before is refused: it would be taken for what comes over TLS.
    pub fn start_tls(&mut self, options: &TlsOptions) -> Result<(), OutboundError> {
        if !self.buffered().is_empty() {
            return Err(OutboundError::BadResponse("the remote goes on in the clear where TLS has to begin".into()));
        }
        self.hurry()?;
        self.wire.start_tls(options)
    }

    /// Hands bytes to the system.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.hurry()?;
        self.wire.write(bytes)
    }

    /// A line without its end, which is LF or CR LF; too large where it is longer than this.
    pub fn line(&mut self, bytes_max: usize) -> Result<Vec<u8>, OutboundError> {
        let mut searched = 0;
        loop {
            let buffered = self.buffered();
            if let Some(found) = buffered[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + found;
                if end > bytes_max {
                    return Err(too_large(bytes_max));
                }
                let line = &buffered[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            searched = buffered.len();
            if searched > bytes_max {
                return Err(too_large(bytes_max));
            }
            self.fill()?;
        }
    }

    /// This many bytes. The caller bounds them: they may be what the remote has announced.
    pub fn exact(&mut self, bytes: usize) -> Result<Vec<u8>, OutboundError> {
        // Grows with what has come, not with what was announced.
        while self.buffered().len() < bytes {
            self.fill()?;
        }
        let taken = self.buffered()[..bytes].to_vec();
        self.at += bytes;
        Ok(taken)
    }

    /// What has come and was not read.
    fn buffered(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Waits for more.
    fn fill(&mut self) -> Result<(), OutboundError> {
        self.hurry()?;
        let bytes = self.wire.read(READ_BYTES)?;
        if bytes.is_empty() {
            return Err(OutboundError::Closed);
        }
        if self.at == self.buffer.len() {
            self.buffer = bytes;
        } else {
            self.buffer.drain(..self.at);
            self.buffer.extend_from_slice(&bytes);
        }
        self.at = 0;
        Ok(())
    }

    fn hurry(&mut self) -> Result<(), OutboundError> {
        let left_ms = self.deadline.left_ms().ok_or(OutboundError::TimedOut)?;
        self.wire.set_timeout_ms(left_ms);
        Ok(())
    }
}

/// More than it may be; what it would have been is not known.
fn too_large(bytes_max: usize) -> OutboundError {
    OutboundError::TooLarge(u32::try_from(bytes_max).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::Script;
    use super::*;

    fn stream(pieces: &[&str]) -> Stream<impl Wire> {
        let script = Script::new(pieces.iter().map(|piece| piece.as_bytes().to_vec()));
        let address = Address { host: "a.example".into(), port: 1 };
        Stream::open(&script, &address, None, Deadline::after_ms(60_000)).unwrap()
    }

    #[test]
    fn lines_and_lengths_do_not_depend_on_how_they_come() {
        for pieces in [&["one\r\ntwo\nfour..."][..], &["o", "ne\r", "\ntw", "o\n", "four.", ".."]] {
            let mut stream = stream(pieces);
            assert_eq!(stream.line(3 + 1).unwrap(), b"one");
            assert_eq!(stream.line(100).unwrap(), b"two");
            assert_eq!(stream.exact(4).unwrap(), b"four");
            assert_eq!(stream.exact(3).unwrap(), b"...");
            assert!(matches!(stream.line(10), Err(OutboundError::Closed)));
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        assert!(matches!(stream(&["0123456789", "0123"]).line(12), Err(OutboundError::TooLarge(12))));
        assert!(matches!(stream(&["0123456789\n"]).line(9), Err(OutboundError::TooLarge(9))));
        assert!(matches!(stream(&["01"]).exact(3), Err(OutboundError::Closed)));
    }

    #[test]
    fn what_came_before_tls_is_not_taken_for_what_comes_over_it() {
        let mut stream = stream(&["220 go ahead\r\n250 injected\r\n"]);
        stream.line(100).unwrap();
        let options = crate::tls::Tls::default().options();
        assert!(matches!(stream.start_tls(&options), Err(OutboundError::BadResponse(_))));
    }

    #[test]
    fn nothing_is_done_after_the_deadline() {
        let script = Script::new([b"late\n".to_vec()]);
        let address = Address { host: "a.example".into(), port: 1 };
        let mut stream = Stream::open(&script, &address, None, Deadline::after_ms(0)).unwrap();
        while stream.deadline().left_ms().is_some() {
            std::thread::yield_now();
        }
        assert!(matches!(stream.line(10), Err(OutboundError::TimedOut)));
        assert!(matches!(stream.write(b"x"), Err(OutboundError::TimedOut)));
        assert!(script.heard().bytes.is_empty());
    }
}
