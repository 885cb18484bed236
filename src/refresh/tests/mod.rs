//! Hours of refreshing in milliseconds: a scripted provider, paused timers, and two clocks that
//! can be moved apart.

mod chains;
mod clocks;
mod failures;
mod life;
mod resume;
mod scripted;
mod secrets;
mod told;
