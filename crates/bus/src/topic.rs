//! One subject: publishers raise a number, subscribers wait until it is above what they have seen.

use tokio::sync::watch;

/// A number that only grows, and the tasks that wait for it to grow. Cheap to clone; all clones are one topic.
///
/// Memory is one number however fast publishers are and however slow subscribers: wake-ups merge.
#[derive(Debug, Clone)]
pub struct Topic {
    version: watch::Sender<u64>,
}

impl Topic {
    /// A topic that starts at `version`.
    pub fn new(version: u64) -> Self {
        Self { version: watch::Sender::new(version) }
    }

    /// Raises the number and wakes the subscribers; a version that is not above the present one does nothing.
    pub fn publish(&self, version: u64) {
        self.version.send_if_modified(|present| {
            let grows = version > *present;
            if grows {
                *present = version;
            }
            grows
        });
    }

    /// The highest version published.
    pub fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// A subscriber that has seen nothing.
    pub fn subscribe(&self) -> Subscription {
        Subscription { version: self.version.subscribe() }
    }
}

/// Waits on a [`Topic`].
#[derive(Debug, Clone)]
pub struct Subscription {
    version: watch::Receiver<u64>,
}

impl Subscription {
    /// Waits until the topic is above `seen` and returns where it is; none when every publisher is gone.
    ///
    /// # Cancel safety
    /// A wake-up is a state, not a message: dropping the future loses nothing.
    pub async fn above(&mut self, seen: u64) -> Option<u64> {
        self.version.wait_for(|version| *version > seen).await.ok().map(|version| *version)
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    #[tokio::test]
    async fn a_subscriber_sees_what_was_published_before_it_waited() {
        let topic = Topic::new(3);
        let mut subscription = topic.subscribe();
        topic.publish(7);
        assert_eq!(subscription.above(3).await, Some(7));
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_once_for_many_publications() {
        let topic = Topic::new(0);
        let mut subscription = topic.subscribe();
        let waiting = tokio::spawn(async move { subscription.above(9).await });
        for version in 1..=10 {
            topic.publish(version);
        }
        assert_eq!(waiting.await.expect("not cancelled"), Some(10));
    }

    #[test]
    fn an_older_version_does_not_lower_the_number() {
        let topic = Topic::new(5);
        topic.publish(4);
        assert_eq!(topic.version(), 5);
    }

    #[tokio::test]
    async fn a_topic_without_publishers_ends_the_wait() {
        let topic = Topic::new(1);
        let mut subscription = topic.subscribe();
        drop(topic);
        assert_eq!(subscription.above(1).await, None);
    }
}
