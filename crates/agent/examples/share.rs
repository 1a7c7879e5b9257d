//! Publishes a folder's listing from inside a program: no local port, no forwarding.
//!
//! ```text
//! PORTWAY_CONNECT_URL=127.0.0.1:8443 PORTWAY_CA=.portway/ca.pem PORTWAY_AUTHTOKEN=… cargo run -p portway-agent --example share -- /tmp
//! ```
//!
//! The agent hands each visitor's connection to the program as a byte stream; any HTTP library that takes one can serve it. This example
//! answers by hand, to show that nothing else is needed.

use std::error::Error;
use std::path::{Path, PathBuf};

use portway_agent::{Agent, Connection, Roots, Status};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let roots = match std::env::var("PORTWAY_CA") {
        Ok(path) => Roots::Pem(std::fs::read(path)?),
        Err(_) => Roots::Host,
    };
    let agent = Agent::builder()
        .connect_url(std::env::var("PORTWAY_CONNECT_URL")?)
        .authtoken(std::env::var("PORTWAY_AUTHTOKEN")?)
        .roots(roots)
        .client_type("share-example")
        .connect()
        .await?;
    let mut listener = agent.http().name("share").listen().await?;
    println!("{} shows {}", listener.url(), folder.display());

    let mut status = agent.status();
    tokio::spawn(async move {
        while status.changed().await.is_ok() {
            match &*status.borrow() {
                Status::Online(online) => println!("online in {} by {}", online.region, online.carrier),
                Status::Reconnecting { error, retry_in } => println!("offline ({error}), again in {retry_in:?}"),
                _ => {}
            }
        }
    });

    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Some(connection) => {
                    let folder = folder.clone();
                    tokio::spawn(async move {
                        let client = connection.client_addr();
                        if let Err(error) = answer(connection, &folder).await {
                            eprintln!("{client}: {error}");
                        }
                    });
                }
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    // Takes the endpoint off and lets running connections finish.
    agent.close().await;
    Ok(())
}

/// Answers one request with the names in the folder, and closes.
async fn answer(connection: Connection, folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    // The head of the request, line by line, to the empty one.
    while connection.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let mut body = String::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        body.push_str(&format!("{}\n", entry.file_name().to_string_lossy()));
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await?;
    connection.shutdown().await?;
    Ok(())
}
