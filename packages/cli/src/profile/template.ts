import { type ProfileTarget, profileName } from "./service-profile.ts";

/** A profile to be changed by hand, which says what each part is for. */
export function profileTemplate(target: ProfileTarget): string {
  return `# A profile of the service ${target.service} in the namespace ${target.namespace}: delete what you do not
# need, then: kubectl apply -f
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata:
  name: ${profileName(target)}
  namespace: ${target.namespace}
spec:
  # Requests that belong together, for metrics and policy. The first route that matches counts.
  routes:
  - name: GET /orders/{id}
    # All that is set here must match. There are also "all" and "any", which take lists of
    # conditions, and "not", which takes one.
    condition:
      method: GET
      # Matches the whole path, without what follows a question mark.
      pathRegex: /orders/[^/]*
    # A request that failed may be sent again, within the budget below.
    isRetryable: true
    # How long a request with its retries may take; 10s if it is left out.
    timeout: 300ms
  - name: POST /orders
    condition:
      method: POST
      pathRegex: /orders
    # Which answers are failures; without this, those of 500 and above.
    responseClasses:
    - condition:
        status:
          min: 500
          max: 599
      isFailure: true
  # How much load retries may add.
  retryBudget:
    # Retries per request that was sent first: 0.2 is one more for every five.
    retryRatio: 0.2
    # Retries a second that are allowed in any case.
    minRetriesPerSecond: 10
    # For how long requests count into the ratio.
    ttl: 10s
`;
}
