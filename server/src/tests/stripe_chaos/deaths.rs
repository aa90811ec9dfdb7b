//! Servers that die in the middle of their work and close nothing. What was synced is all that is
//! left of them.
//!
//! A kill is played within the process. The work is dropped at one of its awaits: a request may be
//! at Stripe whose answer nobody hears, or a command in the journal. The files are copied before
//! the engine closes them, and the next server starts from the copy, so what closing writes is
//! lost. Of two servers on one database both die.

use std::pin::pin;
use std::task::Poll;

use tollkeeper_engine::Reads;

use super::histories::History;
use super::*;

/// How often what is dropped may have gone on before.
const POLLS: [u64; 4] = [2, 6, 16, 40];

/// How much work comes to its end before the servers die between two pieces of work.
const WORKS: usize = 6;

/// Lets work go on this often, and drops it. True if it had not ended.
async fn cut_short(polls: u64, work: impl Future) -> bool {
    let (mut work, mut left) = (pin!(work), polls);
    std::future::poll_fn(|context| {
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if left == 0 => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

impl History {
    /// A request, webhooks or jobs are under way, and the servers die. Then they start again, and
    /// who had no answer asks once more.
    pub async fn die_in_the_middle(mut self) -> History {
        self.is_dying = true;
        for _ in 0..WORKS {
            if self.is_cut_short().await {
                self.cut += 1;
                break;
            }
        }
        self.shop.tell("the servers die");
        self.is_dying = false;
        self.deaths += 1;
        self.shop = self.shop.die().await;
        self.repeat_charges().await;
        self
    }

    /// Begins some work, and drops it unless it ends before. True if it was dropped.
    async fn is_cut_short(&mut self) -> bool {
        let most = *self.random.pick(&POLLS);
        let polls = 1 + self.random.below(most);
        match self.random.below(8) {
            0..2 => cut_short(polls, self.shop.deliver_due()).await,
            2 => cut_short(polls, self.shop.poll()).await,
            3 => cut_short(polls, self.shop.walk()).await,
            4 => cut_short(polls, self.shop.do_all_at_once()).await,
            _ => cut_short(polls, self.act()).await,
        }
    }
}

impl Shop {
    /// The servers are gone at once, and start again from what was synced.
    async fn die(self) -> Shop {
        let Shop { world: World { app, clock, _dir }, settings, mut place, .. } = self;
        let (data, synced) = (_dir.path().join("data"), _dir.path().join("synced"));
        let is_directory = matches!(place, Place::Directory);
        if is_directory {
            // It is answered after what was sent before it, so no file is being written.
            app.engine().journal_head().await.expect("a healthy disk");
            copy(&data, &synced);
        }
        drop(app);
        if let Place::Database(_, other) = &mut place {
            drop(other.take());
        }
        // What is on its way to Stripe arrives there now or never, except what hangs.
        self.stripe.wait_for_silence().await;
        if is_directory {
            std::fs::remove_dir_all(&data).expect("the directory can be removed");
            std::fs::rename(&synced, &data).expect("its name is free");
        }
        let app = place.open(_dir.path(), &settings, &clock).await;
        place.open_other(_dir.path(), &settings, &clock).await;
        Shop { world: World { app: app.into(), clock, _dir }, settings, place, jobs: Jobs::default(), ..self }
    }
}

/// Copies a directory and all below.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("its name is free");
    for file in std::fs::read_dir(from).expect("the directory can be listed") {
        let file = file.expect("the directory can be listed").path();
        let copied = to.join(file.file_name().expect("it has a name"));
        if file.is_dir() {
            copy(&file, &copied);
        } else {
            std::fs::copy(&file, &copied).expect("the file can be copied");
        }
    }
}
