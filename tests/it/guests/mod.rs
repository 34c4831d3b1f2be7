//! Protocols and fixtures in Python and TypeScript: the real components, against real servers.

mod feed;
mod github;
mod languages;
mod scripted;
mod slack;
mod start;
mod tls;
mod world;
