//! The endpoints of tokens.

use super::{Client, ClientError};
use reqwest::Method;
use serde_json::Value;

impl Client {
    /// Makes a token. What callers send is in the answer.
    pub(crate) async fn create_token(&self, wish: &Value) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, &["v1", "tokens"], &[]).json(wish)).await?.json()
    }

    /// Tokens.
    pub(crate) async fn tokens(&self, limit: u32) -> Result<(Vec<Value>, Option<String>), ClientError> {
        self.pages(&["v1", "tokens"], &[], limit).await
    }

    /// Takes a token back.
    pub(crate) async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["v1", "tokens", id], &[])).await.map(drop)
    }
}
