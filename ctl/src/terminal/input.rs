//! Reads the events of the terminal in a thread.

use std::io;
use std::thread;

use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

use super::full_screen::unusable;
use crate::error::Result;

/// The most events that may wait; further ones stay with the kernel.
const MAX_WAITING_EVENTS: usize = 1_024;

/// Starts reading events. After an error the channel closes.
pub(super) fn read_events() -> Result<mpsc::Receiver<io::Result<Event>>> {
    let (sender, events) = mpsc::channel(MAX_WAITING_EVENTS);
    let read = move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(read).map_err(|error| unusable(&error))?;
    Ok(events)
}
