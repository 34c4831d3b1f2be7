//! A way to the server that loses connections when it is told to: around a COMMIT.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
};

/// What happens to the next COMMIT; then everything passes again, but for [`Loss::Forever`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Loss {
    /// Nothing.
    None,
    /// It does not reach the server.
    Before,
    /// The server does it, and the answer does not come back.
    After,
    /// As [`Loss::Before`], and the server does not notice that the connection is gone.
    Unnoticed,
    /// As [`Loss::After`], and no new connection is let through.
    Forever,
}

impl Loss {
    fn of(code: u8) -> Self {
        [Self::None, Self::Before, Self::After, Self::Unnoticed, Self::Forever][usize::from(code)]
    }
}

/// Runs until the test's runtime ends.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    loss: Arc<AtomicU8>,
    lost: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, loss: Arc::default(), lost: Arc::default() };
        let (loss, lost) = (Arc::clone(&proxy.loss), Arc::clone(&proxy.lost));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if Loss::of(loss.load(Ordering::SeqCst)) == Loss::Forever && lost.load(Ordering::SeqCst) > 0 {
                    continue;
                }
                let server = UnixStream::connect(&socket).await.unwrap();
                let (loss, lost) = (Arc::clone(&loss), Arc::clone(&lost));
                // A connection that ends in the middle of something is what this is for.
                tokio::spawn(async move { drop(pass(client, server, &loss, &lost).await) });
            }
        });
        proxy
    }

    pub(crate) fn lose(&self, loss: Loss) {
        self.loss.store(loss as u8, Ordering::SeqCst);
    }

    /// How many connections it has lost.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: UnixStream, loss: &AtomicU8, lost: &AtomicUsize) -> std::io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut answer = vec![0; 1 << 16];
    // The first message has no type, only a length.
    let mut first = true;
    let mut waiting: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        tokio::select! {
            read = from_server.read(&mut answer) => match read? {
                0 => return Ok(()),
                count => to_client.write_all(&answer[..count]).await?,
            },
            read = from_client.read(&mut chunk) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                waiting.extend_from_slice(&chunk[..count]);
                while let Some(message) = take_message(&mut waiting, &mut first) {
                    let next = Loss::of(loss.load(Ordering::SeqCst));
                    if message != *b"Q\0\0\0\x0bCOMMIT\0" || next == Loss::None {
                        to_server.write_all(&message).await?;
                        continue;
                    }
                    if matches!(next, Loss::After | Loss::Forever) {
                        to_server.write_all(&message).await?;
                        // It has answered: it is done.
                        assert!(from_server.read(&mut answer).await? > 0);
                    }
                    lost.fetch_add(1, Ordering::SeqCst);
                    if next != Loss::Forever {
                        loss.store(Loss::None as u8, Ordering::SeqCst);
                    }
                    if next == Loss::Unnoticed {
                        drop((from_client, to_client));
                        // Until the server has enough of it.
                        while from_server.read(&mut answer).await? > 0 {}
                    }
                    return Ok(());
                }
            }
        }
    }
}

fn take_message(waiting: &mut Vec<u8>, first: &mut bool) -> Option<Vec<u8>> {
    let start = usize::from(!*first);
    let length = waiting.get(start..start + 4)?;
    let end = start + u32::from_be_bytes(length.try_into().unwrap()) as usize;
    if waiting.len() < end {
        return None;
    }
    *first = false;
    let rest = waiting.split_off(end);
    Some(std::mem::replace(waiting, rest))
}
