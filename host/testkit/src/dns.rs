//! A DNS server on loopback that says what a test tells it to say, also something else each time.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::{net::UdpSocket, task::JoinHandle};

const A: u16 = 1;
const AAAA: u16 = 28;

/// A server. Ends with the test.
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// What each name is answered with: the first time, the second, and so on; the last stays.
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    /// How often each name was asked for, by the type of the question.
    asked: HashMap<(String, u16), usize>,
}

impl DnsServer {
    /// A server that knows no name yet.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let answering = state.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((read, from)) = socket.recv_from(&mut buffer).await {
                let answer = answering.lock().unwrap().answer(&buffer[..read]);
                if let Some(answer) = answer {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { address, state, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// This name has these addresses.
    pub fn says(&self, name: &str, addresses: &[&str]) {
        self.says_in_turn(name, &[addresses]);
    }

    /// This name has these addresses when it is asked for first, those the second time; the last
    /// stay. Nothing may be kept: the answers are valid for no time.
    pub fn says_in_turn(&self, name: &str, turns: &[&[&str]]) {
        let turns = turns.iter().map(|turn| turn.iter().map(|address| address.parse().unwrap()).collect()).collect();
        self.state.lock().unwrap().answers.insert(name.to_owned(), turns);
    }

    /// How often this name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        let state = self.state.lock().unwrap();
        let of = |kind| state.asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0);
        of(A).max(of(AAAA))
    }

    /// All names that were asked for, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut names: Vec<String> = state.asked.keys().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// The answer to a question (RFC 1035 section 4), if it is one.
    fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name(question)?;
        let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
        let asked = self.asked.entry((name.clone(), kind)).or_default();
        let turn = *asked;
        *asked += 1;
        let turns = self.answers.get(&name);
        let addresses = turns.and_then(|turns| turns.get(turn).or(turns.last()));
        let wanted = addresses.into_iter().flatten().filter(|address| address.is_ipv4() == (kind == A));
        let records: Vec<Vec<u8>> = match kind {
            A | AAAA => wanted.map(|address| record(kind, *address)).collect(),
            _ => Vec::new(),
        };
        let mut answer = question[..2].to_vec();
        // A response, recursion available; NXDOMAIN for a name that nobody told.
        answer.extend([0x81, if turns.is_some() { 0x80 } else { 0x83 }]);
        answer.extend([0, 1]);
        answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(&question[12..end + 4]);
        answer.extend(records.into_iter().flatten());
        Some(answer)
    }
}

/// The name in a question, in lower case, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}

/// A record for the name of the question, valid for no time.
fn record(kind: u16, address: IpAddr) -> Vec<u8> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0]);
    record.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    record.extend(bytes);
    record
}
