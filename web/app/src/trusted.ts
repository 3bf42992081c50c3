// Trusted Types: the page's Content-Security-Policy lets no string become the address of a script, or markup, but by a policy
// that it names. This is the page's own one; it makes addresses of its workers.
interface Policy {
  createScriptURL(url: string): unknown;
}
interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy;
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes; // Chromium's; others have no such rule
const policy = factory?.createPolicy("signalbox", {
  createScriptURL: (url) => {
    if (new URL(url, location.href).origin !== location.origin) {
      throw new TypeError("a worker of elsewhere");
    }
    return url;
  },
});

/** For `new Worker`. The address is the build's own (`import address from "./x.worker?worker&url"`). */
export function workerAddress(url: string): string {
  return (policy ? policy.createScriptURL(url) : url) as string;
}
