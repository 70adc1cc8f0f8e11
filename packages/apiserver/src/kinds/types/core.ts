/** Namespaces, services, endpoints, nodes, configuration, events, leases. The notation is that of `parseTypes`. */
export const CORE_TYPES: string = `
Namespace: metadata ObjectMeta; spec NamespaceSpec; status NamespaceStatus
NamespaceSpec: finalizers [string]
NamespaceStatus: conditions [NamespaceCondition] ~type #; phase (Active|Terminating)
NamespaceCondition: lastTransitionTime time; message string; reason string; status string; type
  string
Service: metadata ObjectMeta; spec ServiceSpec; status ServiceStatus
ServiceSpec: allocateLoadBalancerNodePorts bool; clusterIP string; clusterIPs [string];
  externalIPs [string]; externalName string; externalTrafficPolicy (Cluster|Local);
  healthCheckNodePort int32; internalTrafficPolicy (Cluster|Local); ipFamilies [string];
  ipFamilyPolicy (SingleStack|PreferDualStack|RequireDualStack); loadBalancerClass string;
  loadBalancerIP string; loadBalancerSourceRanges [string]; ports [ServicePort] ~port
  #port,protocol; publishNotReadyAddresses bool; selector {string}; sessionAffinity
  (None|ClientIP) =None; sessionAffinityConfig SessionAffinityConfig; trafficDistribution string;
  type (ClusterIP|NodePort|LoadBalancer|ExternalName) =ClusterIP
ServicePort: appProtocol string; name string; nodePort int32; port* int32; protocol (TCP|UDP|SCTP)
  =TCP; targetPort int-or-string
SessionAffinityConfig: clientIP ClientIPConfig
ClientIPConfig: timeoutSeconds int32
ServiceStatus: conditions [Condition] ~type #; loadBalancer LoadBalancerStatus
LoadBalancerStatus: ingress [LoadBalancerIngress]
LoadBalancerIngress: hostname string; ip string; ipMode string; ports [PortStatus]
PortStatus: error string; port int32; protocol string
Endpoints: metadata ObjectMeta; subsets [EndpointSubset]
EndpointSubset: addresses [EndpointAddress]; notReadyAddresses [EndpointAddress]; ports
  [EndpointPort]
EndpointAddress: hostname string; ip string; nodeName string; targetRef ObjectReference
ObjectReference: apiVersion string; fieldPath string; kind string; name string; namespace string;
  resourceVersion string; uid string
EndpointPort: appProtocol string; name string; port* int32; protocol (TCP|UDP|SCTP) =TCP
Node: metadata ObjectMeta; spec NodeSpec; status NodeStatus
NodeSpec: configSource NodeConfigSource; externalID string; podCIDR string; podCIDRs [string] ~
  set; podPreemptionPolicy NodePodPreemptionPolicy; providerID string; taints [Taint];
  unschedulable bool
NodeConfigSource: configMap ConfigMapNodeConfigSource
ConfigMapNodeConfigSource: kubeletConfigKey* string; name* string; namespace* string;
  resourceVersion string; uid string
NodePodPreemptionPolicy: disableResizePreemption [string] set
Taint: effect* (NoSchedule|PreferNoSchedule|NoExecute); key* string; timeAdded time; value string
NodeStatus: addresses [NodeAddress] ~type #; allocatable {quantity}; capacity {quantity};
  conditions [NodeCondition] ~type #; config NodeConfigStatus; daemonEndpoints
  NodeDaemonEndpoints; declaredFeatures [string]; features NodeFeatures; images [ContainerImage];
  nodeInfo NodeSystemInfo; phase string; runtimeHandlers [NodeRuntimeHandler]; volumesAttached
  [AttachedVolume]; volumesInUse [string]
NodeAddress: address string; type string
NodeCondition: lastHeartbeatTime time; lastTransitionTime time; message string; reason string;
  status string; type string
NodeConfigStatus: active NodeConfigSource; assigned NodeConfigSource; error string; lastKnownGood
  NodeConfigSource
NodeDaemonEndpoints: kubeletEndpoint DaemonEndpoint
DaemonEndpoint: Port int32
NodeFeatures: supplementalGroupsPolicy bool
ContainerImage: names [string]; sizeBytes int64
NodeSystemInfo: architecture string; bootID string; containerRuntimeVersion string; kernelVersion
  string; kubeProxyVersion string; kubeletVersion string; machineID string; operatingSystem
  string; osImage string; runningInUserNamespace bool; swap NodeSwapStatus; systemUUID string
NodeSwapStatus: capacity int64
NodeRuntimeHandler: features NodeRuntimeHandlerFeatures; name string
NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts bool; userNamespaces bool
AttachedVolume: devicePath* string; name* string
ServiceAccount: automountServiceAccountToken bool; imagePullSecrets [LocalObjectReference];
  metadata ObjectMeta; secrets [ObjectReference] ~name #
ConfigMap: binaryData {bytes}; data {string}; immutable bool; metadata ObjectMeta
Secret: data {bytes}; immutable bool; metadata ObjectMeta; stringData {string}; type string
  =Opaque
Event: action string; count int32; eventTime micro-time; firstTimestamp time; involvedObject*
  ObjectReference; lastTimestamp time; message string; metadata* ObjectMeta; reason string;
  related ObjectReference; reportingComponent string; reportingInstance string; series
  EventSeries; source EventSource; type string
EventSeries: count int32; lastObservedTime micro-time
EventSource: component string; host string
EndpointSlice: addressType* (IPv4|IPv6|FQDN); endpoints [Endpoint]; metadata ObjectMeta; ports
  [DiscoveryEndpointPort]
Endpoint: addresses [string] set; conditions EndpointConditions; deprecatedTopology {string};
  hints EndpointHints; hostname string; nodeName string; targetRef ObjectReference; zone string
EndpointConditions: ready bool; serving bool; terminating bool
EndpointHints: forNodes [ForNode]; forZones [ForZone]
ForNode: name* string
ForZone: name* string
DiscoveryEndpointPort: appProtocol string; name string; port int32; protocol (TCP|UDP|SCTP) =TCP
EventsEvent: action string; deprecatedCount int32; deprecatedFirstTimestamp time;
  deprecatedLastTimestamp time; deprecatedSource EventSource; eventTime* micro-time; metadata
  ObjectMeta; note string; reason string; regarding ObjectReference; related ObjectReference;
  reportingController string; reportingInstance string; series EventsEventSeries; type string
EventsEventSeries: count* int32; lastObservedTime* micro-time
Lease: metadata ObjectMeta; spec LeaseSpec
LeaseSpec: acquireTime micro-time; holderIdentity string; leaseDurationSeconds int32;
  leaseTransitions int32; preferredHolder string; renewTime micro-time; strategy string
PodTemplateSpec: metadata ObjectMeta; spec PodSpec
`;
