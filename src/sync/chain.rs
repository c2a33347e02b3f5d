//! A chain of pages, fetched ahead of whoever stores them, within bounds. Follows links and knows nothing of what is in a page.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::graph::{Call, GraphError, Link, Page, Priority, TenantClient, Workload};

/// Pages that are fetched and not taken yet, and KiB of them: one of links is larger than one of people. One more may be on its way.
const AHEAD: usize = 12;
const AHEAD_KIB: usize = 3 * 1024;

/// A page, and the room it takes.
type Fetched = (Result<Page, GraphError>, Option<OwnedSemaphorePermit>);

/// A chain that is being fetched; dropping it stops that.
pub(super) struct Chain {
    pages: mpsc::Receiver<Fetched>,
    task: JoinHandle<()>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Chain {
    /// Fetches from `link` on until the chain ends or fails.
    pub fn start(client: TenantClient, link: Link, workload: Workload, priority: Priority) -> Chain {
        let (sender, pages) = mpsc::channel(AHEAD);
        let room = Arc::new(Semaphore::new(AHEAD_KIB));
        let task = tokio::spawn(async move {
            let mut next = Some(link);
            while let Some(link) = next.take() {
                let page = client.page(Call { link: &link, workload, priority, eventual: false, max_attempts: None }).await;
                next = page.as_ref().ok().and_then(|page| page.next().cloned());
                let kib = page.as_ref().map_or(0, |page| page.bytes().div_ceil(1024)).min(AHEAD_KIB);
                let taken = room.clone().acquire_many_owned(u32::try_from(kib).unwrap_or(u32::MAX)).await.ok();
                if sender.send((page, taken)).await.is_err() {
                    return;
                }
            }
        });
        Chain { pages, task }
    }

    /// Waits for the next page. Not to be asked again after an error or the last page.
    pub async fn next(&mut self) -> Result<Page, GraphError> {
        match self.pages.recv().await {
            Some((page, _)) => page,
            None => Err(GraphError::internal("fetching broke off")),
        }
    }

    /// The next page, when it is here already.
    pub fn arrived(&mut self) -> Option<Result<Page, GraphError>> {
        self.pages.try_recv().ok().map(|(page, _)| page)
    }
}
