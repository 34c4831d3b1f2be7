//! Remotes that are away, silent, talk nonsense, or whose answer is lost on the way.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Nobody is there.
pub(super) fn nobody() -> String {
    super::kept::free_address().to_string()
}

/// Takes connections and never says a word.
pub(super) async fn silent() -> String {
    says(b"").await
}

/// Says this to everybody at once, whatever it hears.
pub(super) async fn says(text: &'static [u8]) -> String {
    speaks(text, false).await
}

/// Says this to whoever has said something.
pub(super) async fn answers(text: &'static [u8]) -> String {
    speaks(text, true).await
}

async fn speaks(text: &'static [u8], asked: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                if asked {
                    let _ = stream.read(&mut heard).await;
                }
                let _ = stream.write_all(text).await;
                while stream.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
            });
        }
    });
    address
}

/// Passes everything on until a client says `word`; what the server answers to that is lost, and the
/// connection with it.
pub(super) async fn losing_the_answer_to(word: &'static [u8], server: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if let Ok(server) = TcpStream::connect(server).await {
                tokio::spawn(pass_on(client, server, word));
            }
        }
    });
    address
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, word: &[u8]) {
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let (mut said, mut lost) = (Vec::new(), false);
    loop {
        tokio::select! {
            Ok(bytes) = client.read(&mut from_client) => {
                if bytes == 0 || server.write_all(&from_client[..bytes]).await.is_err() {
                    return;
                }
                said.extend_from_slice(&from_client[..bytes]);
                lost |= said.windows(word.len()).any(|window| window == word);
            }
            Ok(bytes) = server.read(&mut from_server) => {
                // The server has done what it was told.
                if lost || bytes == 0 || client.write_all(&from_server[..bytes]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}
