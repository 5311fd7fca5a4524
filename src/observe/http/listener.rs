//! Connections, bounded in number and in time, so that clients that hang or crawl cost nothing but themselves.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// So many connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;
/// A connection on which nothing moves for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// So is one that has not taken a byte of an answer for so long, however busily it asks.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// After an accept that failed, for want of file descriptors perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens on the first of the ports that is free.
pub(in crate::observe) async fn bind(
    address: IpAddr,
    ports: &RangeInclusive<u16>,
) -> io::Result<(TcpListener, SocketAddr)> {
    let mut failure = None;
    for port in ports.clone() {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => {
                let address = listener.local_addr()?;
                return Ok((listener, address));
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::InvalidInput.into()))
}

/// `8081` or `8081-8090`.
pub(in crate::observe) fn words(ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

/// A listener with room for a few connections.
pub(in crate::observe) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Bounded {
    pub(in crate::observe) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // Nobody closes the semaphore, so there is always a place in the end.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return (Connection::new(stream, place), address),
                Err(error) => {
                    tracing::debug!(%error, "a connection to the REST API was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that closes itself when nothing moves on it.
pub(in crate::observe) struct Connection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    last_write: Instant,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            deadline: Box::pin(sleep_until(now + IDLE_MAX)),
            last_write: now,
            _place: place,
        }
    }

    fn has_read(&mut self) {
        let deadline = (Instant::now() + IDLE_MAX).min(self.last_write + SILENCE_MAX);
        self.deadline.as_mut().reset(deadline);
    }

    fn has_written(&mut self) {
        self.last_write = Instant::now();
        self.deadline.as_mut().reset(self.last_write + IDLE_MAX);
    }

    /// What to say instead of "not yet".
    fn pending<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                self.has_read();
                Poll::Ready(result)
            }
            Poll::Pending => self.pending(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(result) => {
                self.has_written();
                Poll::Ready(result)
            }
            Poll::Pending => self.pending(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// A connection of the server's, and the client's end of it.
    async fn connected() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (connection, _) = Bounded::new(listener).accept().await;
        (connection, client)
    }

    async fn cut_off_after(connection: &mut Connection) -> Duration {
        let begin = Instant::now();
        let end = async {
            let mut buffer = [0; 16];
            loop {
                if let Err(error) = connection.read(&mut buffer).await {
                    return error;
                }
            }
        };
        let error = timeout(10 * SILENCE_MAX, end).await.expect("an end");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begin.elapsed()
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_cut_off() {
        let (mut connection, _client) = connected().await;
        tokio::time::pause();
        let took = cut_off_after(&mut connection).await;
        assert!(took >= IDLE_MAX && took < IDLE_MAX * 2, "{took:?}");
    }

    #[tokio::test]
    async fn a_client_that_drips_its_request_is_cut_off_too() {
        let (mut connection, mut client) = connected().await;
        tokio::time::pause();
        tokio::spawn(async move {
            loop {
                sleep(IDLE_MAX / 3).await;
                let _ = client.write_all(b"G").await;
            }
        });
        let took = cut_off_after(&mut connection).await;
        assert!(took >= SILENCE_MAX && took < SILENCE_MAX * 2, "{took:?}");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_cut_off() {
        let (mut connection, _client) = connected().await;
        tokio::time::pause();
        let page = [0; 64 << 10];
        let error = loop {
            if let Err(error) = connection.write(&page).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
