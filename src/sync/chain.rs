//! A chain of pages, fetched ahead of whoever stores them, within bounds. Follows links and knows nothing of what is in a page.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::graph::{Call, GraphError, Link, Page, Priority, TenantClient, Workload};

/// Pages that are fetched and not stored yet.
const AHEAD: usize = 12;

/// A chain that is being fetched; dropping it stops that.
pub(super) struct Chain {
    pages: mpsc::Receiver<Result<Page, GraphError>>,
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
        let task = tokio::spawn(async move {
            let mut next = Some(link);
            while let Some(link) = next.take() {
                let page = client.page(Call { link: &link, workload, priority, eventual: false, max_attempts: None }).await;
                next = page.as_ref().ok().and_then(|page| page.next().cloned());
                if sender.send(page).await.is_err() {
                    return;
                }
            }
        });
        Chain { pages, task }
    }

    /// Waits for the next page. Not to be asked again after an error or the last page.
    pub async fn next(&mut self) -> Result<Page, GraphError> {
        match self.pages.recv().await {
            Some(page) => page,
            None => Err(GraphError::internal("fetching broke off")),
        }
    }

    /// The next page, when it is here already.
    pub fn arrived(&mut self) -> Option<Result<Page, GraphError>> {
        self.pages.try_recv().ok()
    }
}
