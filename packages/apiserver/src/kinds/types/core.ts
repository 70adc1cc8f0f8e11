/** Namespaces, services, endpoints, nodes, configuration, events, leases. The notation is that of `parseTypes`. */
export const CORE_TYPES: string = `
Namespace: 1:metadata ObjectMeta; 2:spec NamespaceSpec!; 3:status NamespaceStatus!
NamespaceSpec: 1:finalizers [string]
NamespaceStatus: 2:conditions [NamespaceCondition] ~type #; 1:phase (Active|Terminating)
NamespaceCondition: 4:lastTransitionTime time; 6:message string; 5:reason string; 2:status string;
  1:type string
Service: 1:metadata ObjectMeta; 2:spec ServiceSpec!; 3:status ServiceStatus!
ServiceSpec: 20:allocateLoadBalancerNodePorts bool?; 3:clusterIP string; 18:clusterIPs [string];
  5:externalIPs [string]; 10:externalName string; 11:externalTrafficPolicy (Cluster|Local);
  12:healthCheckNodePort int32; 22:internalTrafficPolicy (Cluster|Local); 19:ipFamilies [string];
  17:ipFamilyPolicy (SingleStack|PreferDualStack|RequireDualStack); 21:loadBalancerClass string;
  8:loadBalancerIP string; 9:loadBalancerSourceRanges [string]; 1:ports [ServicePort] ~port
  #port,protocol; 13:publishNotReadyAddresses bool; 2:selector {string} atomic; 7:sessionAffinity
  (None|ClientIP) =None; 14:sessionAffinityConfig SessionAffinityConfig; 23:trafficDistribution
  string; 4:type (ClusterIP|NodePort|LoadBalancer|ExternalName) =ClusterIP
ServicePort: 6:appProtocol string; 1:name string; 5:nodePort int32; 3:port* int32; 2:protocol
  (TCP|UDP|SCTP) =TCP; 4:targetPort int-or-string
SessionAffinityConfig: 1:clientIP ClientIPConfig
ClientIPConfig: 1:timeoutSeconds int32?
ServiceStatus: 2:conditions [Condition] ~type #; 1:loadBalancer LoadBalancerStatus!
LoadBalancerStatus: 1:ingress [LoadBalancerIngress]
LoadBalancerIngress: 2:hostname string; 1:ip string; 3:ipMode string; 4:ports [PortStatus]
PortStatus: 3:error string; 1:port int32; 2:protocol string
Endpoints: 1:metadata ObjectMeta; 2:subsets [EndpointSubset]
EndpointSubset: 1:addresses [EndpointAddress]; 2:notReadyAddresses [EndpointAddress]; 3:ports
  [EndpointPort]
EndpointAddress(atomic): 3:hostname string; 1:ip string; 4:nodeName string; 2:targetRef
  ObjectReference
ObjectReference(atomic): 5:apiVersion string; 7:fieldPath string; 1:kind string; 3:name string;
  2:namespace string; 6:resourceVersion string; 4:uid string
EndpointPort(atomic): 4:appProtocol string; 1:name string; 2:port* int32; 3:protocol
  (TCP|UDP|SCTP) =TCP
Node: 1:metadata ObjectMeta; 2:spec NodeSpec!; 3:status NodeStatus!
NodeSpec: 6:configSource NodeConfigSource; 2:externalID string; 1:podCIDR string; 7:podCIDRs
  [string] ~ set; 8:podPreemptionPolicy NodePodPreemptionPolicy; 3:providerID string; 5:taints
  [Taint]; 4:unschedulable bool
NodeConfigSource: 2:configMap ConfigMapNodeConfigSource
ConfigMapNodeConfigSource: 5:kubeletConfigKey* string; 2:name* string; 1:namespace* string;
  4:resourceVersion string; 3:uid string
NodePodPreemptionPolicy: 1:disableResizePreemption [string] set
Taint: 3:effect* (NoSchedule|PreferNoSchedule|NoExecute); 1:key* string; 4:timeAdded time; 2:value
  string
NodeStatus: 5:addresses [NodeAddress] ~type #; 2:allocatable {quantity}; 1:capacity {quantity};
  4:conditions [NodeCondition] ~type #; 11:config NodeConfigStatus; 6:daemonEndpoints
  NodeDaemonEndpoints!; 14:declaredFeatures [string]; 13:features NodeFeatures; 8:images
  [ContainerImage]; 7:nodeInfo NodeSystemInfo!; 3:phase string; 12:runtimeHandlers
  [NodeRuntimeHandler]; 10:volumesAttached [AttachedVolume]; 9:volumesInUse [string]
NodeAddress: 2:address string; 1:type string
NodeCondition: 3:lastHeartbeatTime time; 4:lastTransitionTime time; 6:message string; 5:reason
  string; 2:status string; 1:type string
NodeConfigStatus: 2:active NodeConfigSource; 1:assigned NodeConfigSource; 4:error string;
  3:lastKnownGood NodeConfigSource
NodeDaemonEndpoints: 1:kubeletEndpoint DaemonEndpoint!
DaemonEndpoint: 1:Port int32
NodeFeatures: 1:supplementalGroupsPolicy bool?
ContainerImage: 1:names [string]; 2:sizeBytes int64
NodeSystemInfo: 10:architecture string; 3:bootID string; 6:containerRuntimeVersion string;
  4:kernelVersion string; 8:kubeProxyVersion string; 7:kubeletVersion string; 1:machineID string;
  9:operatingSystem string; 5:osImage string; 12:runningInUserNamespace bool?; 11:swap
  NodeSwapStatus; 2:systemUUID string
NodeSwapStatus: 1:capacity int64?
NodeRuntimeHandler: 2:features NodeRuntimeHandlerFeatures; 1:name string
NodeRuntimeHandlerFeatures: 1:recursiveReadOnlyMounts bool?; 2:userNamespaces bool?
AttachedVolume: 2:devicePath* string; 1:name* string
ServiceAccount: 4:automountServiceAccountToken bool?; 3:imagePullSecrets [LocalObjectReference];
  1:metadata ObjectMeta; 2:secrets [ObjectReference] ~name #
ConfigMap: 3:binaryData {bytes}; 2:data {string}; 4:immutable bool?; 1:metadata ObjectMeta
Secret: 2:data {bytes}; 5:immutable bool?; 1:metadata ObjectMeta; 4:stringData {string}; 3:type
  string =Opaque
Event: 12:action string; 8:count int32; 10:eventTime micro-time; 6:firstTimestamp time;
  2:involvedObject* ObjectReference!; 7:lastTimestamp time; 4:message string; 1:metadata*
  ObjectMeta; 3:reason string; 13:related ObjectReference; 14:reportingComponent string;
  15:reportingInstance string; 11:series EventSeries; 5:source EventSource!; 9:type string
EventSeries: 1:count int32; 2:lastObservedTime micro-time
EventSource: 1:component string; 2:host string
EndpointSlice: 4:addressType* (IPv4|IPv6|FQDN); 2:endpoints [Endpoint]; 1:metadata ObjectMeta;
  3:ports [DiscoveryEndpointPort]
Endpoint: 1:addresses [string]! set; 2:conditions EndpointConditions!; 5:deprecatedTopology
  {string}; 8:hints EndpointHints; 3:hostname string; 6:nodeName string; 4:targetRef
  ObjectReference; 7:zone string
EndpointConditions: 1:ready bool?; 2:serving bool?; 3:terminating bool?
EndpointHints: 2:forNodes [ForNode]; 1:forZones [ForZone]
ForNode: 1:name* string
ForZone: 1:name* string
DiscoveryEndpointPort(atomic): 4:appProtocol string; 1:name string; 3:port int32?; 2:protocol
  (TCP|UDP|SCTP) =TCP
EventsEvent: 6:action string; 15:deprecatedCount int32; 13:deprecatedFirstTimestamp time;
  14:deprecatedLastTimestamp time; 12:deprecatedSource EventSource!; 2:eventTime* micro-time;
  1:metadata ObjectMeta; 10:note string; 7:reason string; 8:regarding ObjectReference!; 9:related
  ObjectReference; 4:reportingController string; 5:reportingInstance string; 3:series
  EventsEventSeries; 11:type string
EventsEventSeries: 1:count* int32; 2:lastObservedTime* micro-time
Lease: 1:metadata ObjectMeta; 2:spec LeaseSpec!
LeaseSpec: 3:acquireTime micro-time; 1:holderIdentity string; 2:leaseDurationSeconds int32?;
  5:leaseTransitions int32?; 7:preferredHolder string; 4:renewTime micro-time; 6:strategy string
PodTemplateSpec: 1:metadata ObjectMeta!; 2:spec PodSpec!
`;
