//! What services tell about themselves over plain HTTP, at addresses that the user's
//! own configuration names; and charts, from where an Application says they are.

mod charts;
mod oci;
#[cfg(test)]
mod testing;

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, Url, redirect};

use crate::model::{mask_text, mask_url, plain};

pub use charts::{ChartError, ChartFiles, Charts, unpacked};

/// Why an address gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no URL that can be asked.
    #[error("{url} is no http:// or https:// URL")]
    NoUrl {
        /// As it stands, without credentials.
        url: String,
    },
    /// Nobody answers there, or the connection broke.
    #[error("{url} does not answer: {message}")]
    Unreachable {
        /// The URL without credentials.
        url: String,
        /// Why.
        message: String,
    },
    /// No answer within the limit.
    #[error("no answer from {url} within {} s", .after.as_secs_f64())]
    TimedOut {
        /// The URL without credentials.
        url: String,
        /// The limit.
        after: Duration,
    },
    /// Not the answer that was asked for.
    #[error("{url} answered HTTP {code}")]
    Answered {
        /// The URL without credentials.
        url: String,
        /// HTTP code.
        code: u16,
    },
}

/// A client for such addresses. It follows no redirect: a login page is no answer.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    timeout: Duration,
}

impl Http {
    /// A client whose every wait (for an answer, for each piece of it) has this limit.
    ///
    /// # Errors
    /// When the system's certificates cannot be used; in words.
    pub fn new(timeout: Duration) -> Result<Self, String> {
        Self::with(timeout, redirect::Policy::none())
    }

    /// The same for downloads, which move: it follows up to ten redirects.
    fn following(timeout: Duration) -> Result<Self, String> {
        Self::with(timeout, redirect::Policy::limited(10))
    }

    fn with(timeout: Duration, redirects: redirect::Policy) -> Result<Self, String> {
        let client = Client::builder()
            .user_agent(concat!("unship/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .read_timeout(timeout)
            .redirect(redirects)
            .build()
            .map_err(|error| innermost(&error))?;
        Ok(Self { client, timeout })
    }

    /// Sends a GET.
    ///
    /// # Errors
    /// When there is no answer with success. See [`Error`].
    pub async fn get(&self, url: &str) -> Result<Answer, Error> {
        let shown = mask_url(url);
        let response = self.ask(url, HeaderMap::new()).await?;
        let code = response.status();
        if !code.is_success() {
            return Err(Error::Answered {
                url: shown,
                code: code.as_u16(),
            });
        }
        Ok(Answer {
            response,
            url: shown,
        })
    }

    /// Sends a GET with these headers; every answer is one.
    async fn ask(&self, url: &str, headers: HeaderMap) -> Result<Response, Error> {
        let shown = mask_url(url);
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Error::NoUrl { url: shown.clone() })?;
        let request = self.client.get(parsed).headers(headers).send();
        let asked = tokio::time::timeout(self.timeout, request).await;
        let late = || Error::TimedOut {
            url: shown.clone(),
            after: self.timeout,
        };
        match asked {
            Err(_) => Err(late()),
            Ok(Err(error)) if error.is_timeout() => Err(late()),
            Ok(Err(error)) => Err(Error::Unreachable {
                message: innermost(&error),
                url: shown,
            }),
            Ok(Ok(response)) => Ok(response),
        }
    }
}

/// An answer that is read piece by piece.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    url: String,
}

impl Answer {
    /// All of it, up to so many bytes; `None` where there are more.
    async fn all(mut self, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.chunk().await? {
            bytes.extend(piece);
            if bytes.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }

    /// The next piece; `None` when the answer is complete.
    ///
    /// # Errors
    /// When the connection breaks before the end, or no piece comes within the limit.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let piece = self.response.chunk().await;
        piece
            .map(|piece| piece.map(|bytes| bytes.to_vec()))
            .map_err(|error| Error::Unreachable {
                url: self.url.clone(),
                message: innermost(&error),
            })
    }
}

/// The last cause's words: reqwest's own would show the whole URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut last = "the request failed".to_owned();
    let mut next = error.source();
    while let Some(cause) = next {
        last = cause.to_string();
        next = cause.source();
    }
    let text = last.split(" (os error").next().unwrap_or(&last);
    plain(&mask_text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A server that answers one request with these bytes, or never.
    async fn server(answer: Option<&'static str>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            match answer {
                Some(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                None => std::future::pending().await,
            }
        });
        format!("http://u:sekret@{address}/metrics?token=sekret")
    }

    async fn ask(answer: Option<&'static str>) -> Result<Vec<u8>, Error> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = Http::new(Duration::from_millis(300)).unwrap();
        let mut answer = http.get(&server(answer).await).await?;
        let mut all = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            all.extend(piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn answers_and_failures_in_words() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nup 1";
        assert_eq!(ask(Some(good)).await, Ok(b"up ".to_vec()));
        let broken = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nup 1";
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let login = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
        for (answer, words) in [
            (None, "no answer from http://127.0.0.1:"),
            (Some(broken), "does not answer: "),
            (Some(missing), "/metrics?*** answered HTTP 404"),
            (Some(login), "answered HTTP 302"),
            (Some("garbage"), "does not answer: "),
        ] {
            let error = ask(answer).await.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("sekret"), "{error}");
        }
        let http = Http::new(Duration::from_secs(1)).unwrap();
        for bad in ["file:///etc/passwd", "no url", "http://"] {
            let error = http.get(bad).await.unwrap_err();
            assert!(error.to_string().contains("is no http"), "{error}");
        }
    }
}
