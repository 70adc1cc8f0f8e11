/** What the parts of a node are told. All take JSON where their documentation says YAML. */
import { existsSync } from "node:fs";
import { join } from "node:path";

export const NODE = { name: "node1", ip: "172.30.0.1", ip6: "fd30::1" } as const;

/** Whether nodes, pods and Services have addresses of both families. */
export const HAS_IPV6: boolean = existsSync("/proc/net/if_inet6");

/** Somewhere that is no network of the cluster; the node answers there. */
export const OUTSIDE_IP = "198.51.100.1";

/** Image names have a domain, so that nothing is looked for elsewhere. */
export const PAUSE_IMAGE = "images.test/pause:1";
export const COREDNS_IMAGE = "images.test/coredns:1";

const POD_NETWORKS = ["10.244.0.0/16", "fd44::/56"] as const;
const NODE_PODS = ["10.244.0.0/24", "fd44::/64"] as const;
const SERVICE_NETWORKS = ["10.96.0.0/16", "fd96::/112"] as const;
const ANYWHERE = ["0.0.0.0/0", "::/0"] as const;

/** Of IPv4 and IPv6, what is of a family that this machine has. */
function families<T>(both: readonly [T, T]): readonly T[] {
  return HAS_IPV6 ? both : both.slice(0, 1);
}

/** For flags. */
export const SERVICE_CIDRS: string = families(SERVICE_NETWORKS).join(",");
export const NODE_IPS: string = families([NODE.ip, NODE.ip6]).join(",");
export const DNS_IP = "10.96.0.10";

/** Under which clusters have their names unless they are told otherwise. */
export const CLUSTER_DOMAIN = "cluster.local";

/** In TOML, for containerd. `@@` stands for the node's folder. */
const CONTAINERD = `
version = 2
root = "@@/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = "@@/containerd.sock"
[ttrpc]
address = "@@/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
stream_server_address = "127.0.0.1"
# This machine's root may lack CAP_SYS_RESOURCE, as in containers of CI.
restrict_oom_score_adj = true
disable_apparmor = true
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "@@/cni-bin"
conf_dir = "@@/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
`;

/** The configuration files of a node, by their path below its folder. */
export function nodeFiles(
  folder: string,
  cgroup: string,
  clusterDomain: string,
): Readonly<Record<string, string>> {
  return {
    "containerd.toml": CONTAINERD.replaceAll("@@", folder),
    "cni/10-bridge.conflist": JSON.stringify(network(folder)),
    "kubelet.json": JSON.stringify(kubelet(folder, cgroup, clusterDomain)),
    "kube-proxy.json": JSON.stringify(kubeProxy(folder)),
    "resolv.conf": `nameserver ${DNS_IP}\n`,
  };
}

function network(folder: string): object {
  return {
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "pods0",
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: join(folder, "ipam"),
          ranges: families(NODE_PODS).map((subnet) => [{ subnet }]),
          routes: families(ANYWHERE).map((dst) => ({ dst })),
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function kubelet(folder: string, cgroup: string, clusterDomain: string): object {
  const pki = join(folder, "pki");
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: NODE.ip,
    healthzBindAddress: "127.0.0.1",
    tlsCertFile: join(pki, "kubelet.crt"),
    tlsPrivateKeyFile: join(pki, "kubelet.key"),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: join(pki, "ca.crt") },
    },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${join(folder, "containerd.sock")}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    clusterDomain,
    clusterDNS: [DNS_IP],
    resolvConf: join(folder, "resolv.conf"),
    registerNode: true,
    // Pods are few and the test waits for each: look often.
    nodeStatusUpdateFrequency: "5s",
    syncFrequency: "5s",
    volumeStatsAggPeriod: "5s",
    serializeImagePulls: false,
    // Images cannot be pulled again, and a disk that is nearly full is no reason to evict a test.
    imageMinimumGCAge: "240h",
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      "memory.available": "100Mi",
      "nodefs.available": "1%",
      "nodefs.inodesFree": "1%",
      "imagefs.available": "1%",
      "imagefs.inodesFree": "1%",
    },
  };
}

function kubeProxy(folder: string): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    clientConnection: { kubeconfig: join(folder, "pki", "proxy.kubeconfig") },
    clusterCIDR: families(POD_NETWORKS).join(","),
    hostnameOverride: NODE.name,
    bindAddress: NODE.ip,
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    // The machine's own limits stay as they are.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    iptables: { minSyncPeriod: "100ms", syncPeriod: "30s" },
  };
}

function corefile(clusterDomain: string): string {
  return `.:53 {
  errors
  health
  ready
  cache 5
  kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
    pods insecure
    ttl 5
  }
}
`;
}

/** The cluster's DNS, as `kubectl apply` takes it. */
export function dnsManifest(clusterDomain: string): object {
  const metadata = { name: "coredns", namespace: "kube-system" };
  const labels = { "k8s-app": "kube-dns" };
  const read = ["list", "watch"];
  return {
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion: "v1", kind: "ServiceAccount", metadata },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "system:coredns" },
        rules: [
          { apiGroups: [""], resources: ["services", "pods", "namespaces"], verbs: read },
          { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
        ],
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "system:coredns" },
        roleRef: {
          apiGroup: "rbac.authorization.k8s.io",
          kind: "ClusterRole",
          name: "system:coredns",
        },
        subjects: [{ kind: "ServiceAccount", ...metadata }],
      },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata,
        data: { Corefile: corefile(clusterDomain) },
      },
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata,
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              serviceAccountName: "coredns",
              dnsPolicy: "Default",
              containers: [
                {
                  name: "coredns",
                  image: COREDNS_IMAGE,
                  args: ["-conf", "/etc/coredns/Corefile"],
                  volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
                  readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
                },
              ],
              volumes: [{ name: "config", configMap: { name: "coredns" } }],
            },
          },
        },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "kube-dns", namespace: "kube-system" },
        spec: {
          clusterIP: DNS_IP,
          selector: labels,
          ports: [
            { name: "dns", port: 53, protocol: "UDP" },
            { name: "dns-tcp", port: 53, protocol: "TCP" },
          ],
        },
      },
    ],
  };
}
