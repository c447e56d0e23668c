//! The log of messages on the disk: reading, export and backup, and its behaviour in crashes and faults.
//!
//! `databases` holds inboxes of every schema that a build of main has written.

mod backup;
mod chinese;
mod clock;
mod consumers;
mod damaged;
mod damaged_again;
mod durable;
mod earlier_daemon;
mod export;
mod faults;
mod following;
mod frames;
mod full_disk;
mod index;
mod losses;
mod merged;
mod migration;
mod numbers;
mod reading;
mod retention;
mod selection;
