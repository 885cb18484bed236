//! A future that a trait object can return.

use std::pin::Pin;

/// Boxed, and free to move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
