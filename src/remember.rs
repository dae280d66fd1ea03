//! Answers that are asked for once, for a look at many targets.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Answers by what was asked. Whoever asks while the same is being asked waits for that answer;
/// an error is not kept, and the next one asks again.
pub(crate) struct Remember<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Remember<K, V> {
    fn default() -> Self {
        Self {
            cells: Mutex::default(),
        }
    }
}

impl<K, V> fmt::Debug for Remember<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remember")
    }
}

impl<K: Eq + Hash, V: Clone> Remember<K, V> {
    /// The answer, from the first who asked.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(crate) async fn answer<E>(
        &self,
        key: K,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_asked_for_once_and_an_error_again() {
        let kept: Remember<u8, u8> = Remember::default();
        let failed: Result<u8, &str> = kept.answer(1, async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        for said in [5, 6] {
            let answer: Result<u8, &str> = kept.answer(1, async { Ok(said) }).await;
            assert_eq!(answer, Ok(5));
        }
    }
}
