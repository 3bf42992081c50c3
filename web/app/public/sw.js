// Shows nothing and keeps nothing: it is there because some browsers let pages notify only by a service worker. A press on a
// notification comes back to a page that is open, or opens one.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const hash = event.notification.data?.hash ?? "#/";
  event.waitUntil(
    self.clients.matchAll({ type: "window" }).then(async (pages) => {
      const page = pages.find(({ visibilityState }) => visibilityState === "visible") ?? pages[0];
      if (!page) {
        await self.clients.openWindow(`/${hash}`);
        return;
      }
      await page.focus();
      page.postMessage({ type: "open", hash });
    }),
  );
});
