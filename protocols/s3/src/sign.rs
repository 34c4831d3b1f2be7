//! AWS Signature Version 4. The key is a secret, and its first HMAC is the service's: the protocol has only
//! what is good for one day, one region, and S3.

use std::time::Duration;

use action_protocol::http::url::Url;
use action_protocol::secrets::{KeyEncoding, Secret};
use action_protocol::{Failure, HttpRequest};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Who signs.
#[derive(Debug)]
pub struct Signer<'a> {
    /// The id of the key.
    pub key_id: &'a str,
    /// The key.
    pub key: &'a Secret,
    /// The token of temporary credentials, in the clear.
    pub token: Option<String>,
    /// The region.
    pub region: &'a str,
}

impl Signer<'_> {
    /// The request with its signature. Its URL is percent-encoded already, its query in the order of its names;
    /// `now` is since 1970.
    pub fn sign(&self, mut request: HttpRequest, now: Duration) -> Result<HttpRequest, Failure> {
        let url = Url::parse(&request.url).map_err(Failure::internal)?;
        let default_port = if url.is_https() { 443 } else { 80 };
        let host = match url.port.filter(|port| *port != default_port) {
            Some(port) => format!("{}:{port}", url.host.to_ascii_lowercase()),
            None => url.host.to_ascii_lowercase(),
        };
        let time = timestamp(now);
        let date = &time[..8];
        let body_hash = hex(&Sha256::digest(request.body.as_deref().unwrap_or_default()));
        let mut headers =
            vec![("host", host), ("x-amz-content-sha256", body_hash.clone()), ("x-amz-date", time.clone())];
        headers.extend(self.token.clone().map(|token| ("x-amz-security-token", token)));
        let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let lines = lines.concat();
        let path = if url.path.is_empty() { "/" } else { url.path };
        let query = url.query.unwrap_or_default();
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{body_hash}", request.method);
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let mut key = first(self.key, date)?;
        for part in [self.region, "s3", "aws4_request", &text] {
            key = hmac(&key, part.as_bytes())?;
        }
        let credential = format!("{}/{scope}", self.key_id);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={}", hex(&key));
        for (name, value) in headers.into_iter().skip(1) {
            request = request.header(name, value);
        }
        Ok(request.header("Authorization", authorization))
    }
}

fn first(key: &Secret, date: &str) -> Result<Vec<u8>, Failure> {
    if key.is_handle() {
        return Ok(key.hmac_sha256(KeyEncoding::Raw, "AWS4", date.as_bytes())?);
    }
    hmac(format!("AWS4{}", &**key).as_bytes(), date.as_bytes())
}

fn hmac(key: &[u8], message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Failure::internal("no key of this length"))?;
    Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// `20130524T000000Z`.
fn timestamp(now: Duration) -> String {
    let (days, second) = (now.as_secs() / 86_400, now.as_secs() % 86_400);
    // Years that begin in March, so that a leap day is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        serde_json::from_value(text.into()).unwrap()
    }

    /// The examples of AWS's own documentation use these, at midnight of 24 May 2013.
    #[test]
    fn a_signature_is_what_aws_documents() {
        let key = secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let signer = Signer { key_id: "AKIAIOSFODNN7EXAMPLE", key: &key, token: None, region: "us-east-1" };
        let now = Duration::from_secs(1_369_353_600);
        let request = HttpRequest::get("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J");
        let signed = signer.sign(request, now).unwrap();
        let authorization = signed.headers.iter().find(|header| header.name == "Authorization").unwrap();
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert_eq!(String::from_utf8_lossy(&authorization.value), expected);
    }

    #[test]
    fn times_are_written() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_795_410_480, "20261123T050800Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), text);
        }
    }
}
