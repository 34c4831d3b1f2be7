//! An identity provider's keys, from where the settings say.

use crate::{
    config::{Jwks, OidcSettings, names},
    exit,
    system::SystemClock,
};
use action_api::{KeySource, Oidc, OidcOptions};
use anyhow::Context as _;
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// How long an issuer may take for its keys: callers wait for them.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest key set. That of a large issuer has ten kilobytes.
const JWKS_BYTES_MAX: usize = 1 << 20;

/// Ready to check tokens. A file that is wrong stops the start, as other wrong settings do; an issuer
/// that is away is asked again when a caller comes.
///
/// # Errors
/// Where the keys cannot be read from their file.
pub(crate) async fn open(settings: &OidcSettings) -> anyhow::Result<Oidc> {
    let source: Arc<dyn KeySource> = match &settings.jwks {
        Jwks::Url(url) => Arc::new(Remote::new(url.clone())?),
        Jwks::File(path) => Arc::new(File(path.clone())),
    };
    let options = OidcOptions { issuer: settings.issuer.clone(), audience: settings.audience.clone() };
    let oidc = Oidc::new(options, source, Arc::new(SystemClock));
    match (oidc.prepare().await, &settings.jwks) {
        (Ok(0), _) => tracing::warn!("{}: there is no key in it that can be used", names::OIDC_JWKS),
        (Ok(keys), _) => tracing::info!(keys, issuer = settings.issuer, "identity provider"),
        (Err(error), Jwks::Url(_)) => tracing::warn!(%error, "the identity provider's keys are not there yet"),
        (Err(error), Jwks::File(path)) => {
            let context = format!("{} (from {})", path.display(), names::OIDC_JWKS);
            return Err(exit::usage(anyhow::Error::msg(error).context(context)));
        }
    }
    Ok(oidc)
}

struct Remote {
    http: reqwest::Client,
    url: Url,
}

impl Remote {
    fn new(url: Url) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("action-service/", env!("CARGO_PKG_VERSION")))
            .timeout(FETCH_TIMEOUT)
            // The keys are where the settings say, and nowhere else.
            .redirect(reqwest::redirect::Policy::none());
        // A proxy of the surroundings leads to the outside, not back to this machine.
        let http = if url.scheme() == "http" { http.no_proxy() } else { http };
        let http = http.build().with_context(|| format!("{} cannot be used", names::OIDC_JWKS))?;
        Ok(Self { http, url })
    }

    async fn get(&self) -> reqwest::Result<Option<Vec<u8>>> {
        let mut response = self.http.get(self.url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            if body.len() + piece.len() > JWKS_BYTES_MAX {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        // What redirects is no key set, and is not followed.
        Ok(Some(body))
    }
}

#[async_trait]
impl KeySource for Remote {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        // The URL may hold credentials: the error goes without it.
        let body = self.get().await.map_err(|error| error.without_url().to_string())?;
        body.ok_or_else(|| format!("more than {JWKS_BYTES_MAX} bytes"))
    }
}

struct File(PathBuf);

#[async_trait]
impl KeySource for File {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        read(&self.0).await.map_err(|error| error.to_string())
    }
}

async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let size = tokio::fs::metadata(path).await?.len();
    if size > JWKS_BYTES_MAX as u64 {
        return Err(std::io::Error::other(format!("more than {JWKS_BYTES_MAX} bytes")));
    }
    tokio::fs::read(path).await
}
