/** Pods, down to their volumes. The notation is that of `parseTypes`. */
export const POD_TYPES: string = `
Pod: 1:metadata ObjectMeta; 2:spec PodSpec!; 3:status PodStatus!
PodSpec: 5:activeDeadlineSeconds int64?; 18:affinity Affinity; 21:automountServiceAccountToken
  bool?; 2:containers* [Container]! ~name #; 26:dnsConfig PodDNSConfig; 6:dnsPolicy
  (ClusterFirst|ClusterFirstWithHostNet|Default|None) =ClusterFirst; 30:enableServiceLinks bool?; 34:ephemeralContainers [EphemeralContainer] ~name #; 44:evictionResponders
  [EvictionResponder] ~name #; 23:hostAliases [HostAlias] ~ip #; 13:hostIPC bool; 11:hostNetwork
  bool; 12:hostPID bool; 37:hostUsers bool?; 16:hostname string; 41:hostnameOverride string;
  15:imagePullSecrets [LocalObjectReference] ~name #; 20:initContainers [Container] ~name #;
  10:nodeName string; 7:nodeSelector {string} atomic; 36:os PodOS; 32:overhead {quantity};
  31:preemptionPolicy string; 25:priority int32?; 24:priorityClassName string; 28:readinessGates
  [PodReadinessGate]; 39:resourceClaims [PodResourceClaim] ~name retain #; 40:resources
  ResourceRequirements; 3:restartPolicy (Always|OnFailure|Never) =Always; 29:runtimeClassName
  string; 19:schedulerName string =default-scheduler; 38:schedulingGates [PodSchedulingGate] ~name
  #; 43:schedulingGroup PodSchedulingGroup; 14:securityContext PodSecurityContext ={};
  9:serviceAccount string; 8:serviceAccountName string; 35:setHostnameAsFQDN bool?;
  27:shareProcessNamespace bool?; 17:subdomain string; 4:terminationGracePeriodSeconds int64? =30;
  22:tolerations [Toleration]; 33:topologySpreadConstraints [TopologySpreadConstraint]
  ~topologyKey #topologyKey,whenUnsatisfiable; 1:volumes [Volume] ~name retain #
Affinity: 1:nodeAffinity NodeAffinity; 2:podAffinity PodAffinity; 3:podAntiAffinity
  PodAntiAffinity
NodeAffinity: 2:preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm];
  1:requiredDuringSchedulingIgnoredDuringExecution NodeSelector
PreferredSchedulingTerm: 2:preference* NodeSelectorTerm!; 1:weight* int32
NodeSelectorTerm(atomic): 1:matchExpressions [NodeSelectorRequirement]; 2:matchFields
  [NodeSelectorRequirement]
NodeSelectorRequirement: 1:key* string; 2:operator* string; 3:values [string]
NodeSelector(atomic): 1:nodeSelectorTerms* [NodeSelectorTerm]
PodAffinity: 2:preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm];
  1:requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm]
WeightedPodAffinityTerm: 2:podAffinityTerm* PodAffinityTerm!; 1:weight* int32
PodAffinityTerm: 1:labelSelector LabelSelector; 5:matchLabelKeys [string]; 6:mismatchLabelKeys
  [string]; 4:namespaceSelector LabelSelector; 2:namespaces [string]; 3:topologyKey* string
PodAntiAffinity: 2:preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm];
  1:requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm]
Container: 4:args [string]; 3:command [string]; 7:env [EnvVar] ~name #; 19:envFrom
  [EnvFromSource]; 2:image string; 14:imagePullPolicy (Always|Never|IfNotPresent); 12:lifecycle
  Lifecycle; 10:livenessProbe Probe; 1:name* string; 6:ports [ContainerPort] ~containerPort
  #containerPort,protocol; 11:readinessProbe Probe; 23:resizePolicy [ContainerResizePolicy];
  8:resources ResourceRequirements! ={}; 24:restartPolicy string; 25:restartPolicyRules
  [ContainerRestartRule]; 15:securityContext SecurityContext; 22:startupProbe Probe; 16:stdin
  bool; 17:stdinOnce bool; 13:terminationMessagePath string =/dev/termination-log;
  20:terminationMessagePolicy (File|FallbackToLogsOnError) =File; 18:tty bool; 21:volumeDevices
  [VolumeDevice] ~devicePath #; 9:volumeMounts [VolumeMount] ~mountPath #; 5:workingDir string
EnvVar: 1:name* string; 2:value string; 3:valueFrom EnvVarSource
EnvVarSource: 3:configMapKeyRef ConfigMapKeySelector; 1:fieldRef ObjectFieldSelector; 5:fileKeyRef
  FileKeySelector; 2:resourceFieldRef ResourceFieldSelector; 4:secretKeyRef SecretKeySelector
ConfigMapKeySelector(atomic): 2:key* string; 1.1:name string; 3:optional bool?
ObjectFieldSelector(atomic): 1:apiVersion string =v1; 2:fieldPath* string
FileKeySelector(atomic): 3:key* string; 4:optional bool?; 2:path* string; 1:volumeName* string
ResourceFieldSelector(atomic): 1:containerName string; 3:divisor quantity; 2:resource* string
SecretKeySelector(atomic): 2:key* string; 1.1:name string; 3:optional bool?
EnvFromSource: 2:configMapRef ConfigMapEnvSource; 1:prefix string; 3:secretRef SecretEnvSource
ConfigMapEnvSource: 1.1:name string; 2:optional bool?
SecretEnvSource: 1.1:name string; 2:optional bool?
Lifecycle: 1:postStart LifecycleHandler; 2:preStop LifecycleHandler; 3:stopSignal string
LifecycleHandler: 1:exec ExecAction; 2:httpGet HTTPGetAction; 4:sleep SleepAction; 3:tcpSocket
  TCPSocketAction
ExecAction: 1:command [string]
HTTPGetAction: 3:host string; 5:httpHeaders [HTTPHeader]; 1:path string; 2:port* int-or-string;
  6:protocol string; 4:scheme (HTTP|HTTPS) =HTTP
HTTPHeader: 1:name* string; 2:value* string
SleepAction: 1:seconds* int64
TCPSocketAction: 2:host string; 1:port* int-or-string
Probe: 1.1:exec ExecAction; 6:failureThreshold int32 =3; 1.4:grpc GRPCAction; 1.2:httpGet
  HTTPGetAction; 2:initialDelaySeconds int32; 4:periodSeconds int32 =10; 5:successThreshold int32
  =1; 1.3:tcpSocket TCPSocketAction; 7:terminationGracePeriodSeconds int64?; 3:timeoutSeconds
  int32 =1
GRPCAction: 3:mode string; 1:port* int32; 2:service string
ContainerPort: 3:containerPort* int32; 5:hostIP string; 2:hostPort int32; 1:name string;
  4:protocol (TCP|UDP|SCTP) =TCP
ContainerResizePolicy: 1:resourceName* string; 2:restartPolicy* string
ResourceRequirements: 3:claims [ResourceClaim] #name; 1:limits {quantity}; 2:requests {quantity}
ResourceClaim: 1:name* string; 2:request string
ContainerRestartRule: 1:action* string; 2:exitCodes ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: 1:operator* string; 2:values [int32] set
SecurityContext: 7:allowPrivilegeEscalation bool?; 12:appArmorProfile AppArmorProfile;
  1:capabilities Capabilities; 2:privileged bool?; 9:procMount string; 6:readOnlyRootFilesystem
  bool?; 8:runAsGroup int64?; 5:runAsNonRoot bool?; 4:runAsUser int64?; 3:seLinuxOptions
  SELinuxOptions; 11:seccompProfile SeccompProfile; 10:windowsOptions
  WindowsSecurityContextOptions
AppArmorProfile: 2:localhostProfile string; 1:type* string
Capabilities: 1:add [string]; 2:drop [string]
SELinuxOptions: 4:level string; 2:role string; 3:type string; 1:user string
SeccompProfile: 2:localhostProfile string; 1:type* string
WindowsSecurityContextOptions: 2:gmsaCredentialSpec string; 1:gmsaCredentialSpecName string;
  4:hostProcess bool?; 3:runAsUserName string
VolumeDevice: 2:devicePath* string; 1:name* string
VolumeMount: 8:bindMountOptions [string] set; 3:mountPath* string; 5:mountPropagation string;
  1:name* string; 2:readOnly bool; 7:recursiveReadOnly string; 4:subPath string; 6:subPathExpr
  string
PodDNSConfig: 1:nameservers [string]; 3:options [PodDNSConfigOption]; 2:searches [string]
PodDNSConfigOption: 1:name string; 2:value string
EphemeralContainer: 1.4:args [string]; 1.3:command [string]; 1.7:env [EnvVar] ~name #;
  1.19:envFrom [EnvFromSource]; 1.2:image string; 1.14:imagePullPolicy string; 1.12:lifecycle
  Lifecycle; 1.10:livenessProbe Probe; 1.1:name* string; 1.6:ports [ContainerPort] ~containerPort
  #containerPort,protocol; 1.11:readinessProbe Probe; 1.23:resizePolicy [ContainerResizePolicy];
  1.8:resources ResourceRequirements! ={}; 1.24:restartPolicy string; 1.25:restartPolicyRules
  [ContainerRestartRule]; 1.15:securityContext SecurityContext; 1.22:startupProbe Probe;
  1.16:stdin bool; 1.17:stdinOnce bool; 2:targetContainerName string; 1.13:terminationMessagePath
  string =/dev/termination-log; 1.20:terminationMessagePolicy string =File; 1.18:tty bool;
  1.21:volumeDevices [VolumeDevice] ~devicePath #; 1.9:volumeMounts [VolumeMount] ~mountPath #;
  1.5:workingDir string
EvictionResponder(atomic): 1:name* string; 2:priority* int32?
HostAlias: 2:hostnames [string]; 1:ip* string
LocalObjectReference(atomic): 1:name string
PodOS: 1:name* string
PodReadinessGate: 1:conditionType* string
PodResourceClaim: 1:name* string; 3:resourceClaimName string; 4:resourceClaimTemplateName string
PodSchedulingGate: 1:name* string
PodSchedulingGroup: 1:podGroupName string
PodSecurityContext: 11:appArmorProfile AppArmorProfile; 5:fsGroup int64?; 9:fsGroupChangePolicy
  string; 6:runAsGroup int64?; 3:runAsNonRoot bool?; 2:runAsUser int64?; 13:seLinuxChangePolicy
  string; 1:seLinuxOptions SELinuxOptions; 10:seccompProfile SeccompProfile; 4:supplementalGroups
  [int64]; 12:supplementalGroupsPolicy string; 7:sysctls [Sysctl]; 8:windowsOptions
  WindowsSecurityContextOptions
Sysctl: 1:name* string; 2:value* string
Toleration: 4:effect string; 1:key string; 2:operator string; 5:tolerationSeconds int64?; 3:value
  string
TopologySpreadConstraint: 4:labelSelector LabelSelector; 8:matchLabelKeys [string]; 1:maxSkew*
  int32; 5:minDomains int32?; 6:nodeAffinityPolicy string; 7:nodeTaintsPolicy string;
  2:topologyKey* string; 3:whenUnsatisfiable* string
Volume: 2.4:awsElasticBlockStore AWSElasticBlockStoreVolumeSource; 2.22:azureDisk
  AzureDiskVolumeSource; 2.18:azureFile AzureFileVolumeSource; 2.14:cephfs CephFSVolumeSource;
  2.13:cinder CinderVolumeSource; 2.19:configMap ConfigMapVolumeSource; 2.28:csi CSIVolumeSource;
  2.16:downwardAPI DownwardAPIVolumeSource; 2.2:emptyDir EmptyDirVolumeSource; 2.29:ephemeral
  EphemeralVolumeSource; 2.17:fc FCVolumeSource; 2.12:flexVolume FlexVolumeSource; 2.15:flocker
  FlockerVolumeSource; 2.3:gcePersistentDisk GCEPersistentDiskVolumeSource; 2.5:gitRepo
  GitRepoVolumeSource; 2.9:glusterfs GlusterfsVolumeSource; 2.1:hostPath HostPathVolumeSource;
  2.30:image ImageVolumeSource; 2.8:iscsi ISCSIVolumeSource; 1:name* string; 2.7:nfs
  NFSVolumeSource; 2.10:persistentVolumeClaim PersistentVolumeClaimVolumeSource;
  2.23:photonPersistentDisk PhotonPersistentDiskVolumeSource; 2.24:portworxVolume
  PortworxVolumeSource; 2.26:projected ProjectedVolumeSource; 2.21:quobyte QuobyteVolumeSource;
  2.11:rbd RBDVolumeSource; 2.25:scaleIO ScaleIOVolumeSource; 2.6:secret SecretVolumeSource;
  2.27:storageos StorageOSVolumeSource; 2.20:vsphereVolume VsphereVirtualDiskVolumeSource
AWSElasticBlockStoreVolumeSource: 2:fsType string; 3:partition int32; 4:readOnly bool; 1:volumeID*
  string
AzureDiskVolumeSource: 3:cachingMode string; 1:diskName* string; 2:diskURI* string; 4:fsType
  string; 6:kind string; 5:readOnly bool?
AzureFileVolumeSource: 3:readOnly bool; 1:secretName* string; 2:shareName* string
CephFSVolumeSource: 1:monitors* [string]; 2:path string; 6:readOnly bool; 4:secretFile string;
  5:secretRef LocalObjectReference; 3:user string
CinderVolumeSource: 2:fsType string; 3:readOnly bool; 4:secretRef LocalObjectReference;
  1:volumeID* string
ConfigMapVolumeSource: 3:defaultMode int32? =420; 5:defaultUser int64?; 2:items [KeyToPath];
  1.1:name string; 4:optional bool?
KeyToPath: 1:key* string; 3:mode int32?; 2:path* string; 4:user int64?
CSIVolumeSource: 1:driver* string; 3:fsType string; 5:nodePublishSecretRef LocalObjectReference;
  2:readOnly bool?; 4:volumeAttributes {string}
DownwardAPIVolumeSource: 2:defaultMode int32? =420; 3:defaultUser int64?; 1:items
  [DownwardAPIVolumeFile]
DownwardAPIVolumeFile: 2:fieldRef ObjectFieldSelector; 4:mode int32?; 1:path* string;
  3:resourceFieldRef ResourceFieldSelector; 5:user int64?
EmptyDirVolumeSource: 1:medium string; 3:mode int32?; 2:sizeLimit quantity
EphemeralVolumeSource: 1:volumeClaimTemplate any
TypedLocalObjectReference(atomic): 1:apiGroup string; 2:kind* string; 3:name* string
FCVolumeSource: 3:fsType string; 2:lun int32?; 4:readOnly bool; 1:targetWWNs [string]; 5:wwids
  [string]
FlexVolumeSource: 1:driver* string; 2:fsType string; 5:options {string}; 4:readOnly bool;
  3:secretRef LocalObjectReference
FlockerVolumeSource: 1:datasetName string; 2:datasetUUID string
GCEPersistentDiskVolumeSource: 2:fsType string; 3:partition int32; 1:pdName* string; 4:readOnly
  bool
GitRepoVolumeSource: 3:directory string; 1:repository* string; 2:revision string
GlusterfsVolumeSource: 1:endpoints* string; 2:path* string; 3:readOnly bool
HostPathVolumeSource: 1:path* string; 2:type string =
ImageVolumeSource: 2:pullPolicy string; 1:reference string
ISCSIVolumeSource: 8:chapAuthDiscovery bool; 11:chapAuthSession bool; 5:fsType string;
  12:initiatorName string; 2:iqn* string; 4:iscsiInterface string; 3:lun* int32; 7:portals
  [string]; 6:readOnly bool; 10:secretRef LocalObjectReference; 1:targetPortal* string
NFSVolumeSource: 2:path* string; 3:readOnly bool; 1:server* string
PersistentVolumeClaimVolumeSource: 1:claimName* string; 2:readOnly bool
PhotonPersistentDiskVolumeSource: 2:fsType string; 1:pdID* string
PortworxVolumeSource: 2:fsType string; 3:readOnly bool; 1:volumeID* string
ProjectedVolumeSource: 2:defaultMode int32? =420; 3:defaultUser int64?; 1:sources
  [VolumeProjection]
VolumeProjection: 5:clusterTrustBundle ClusterTrustBundleProjection; 3:configMap
  ConfigMapProjection; 2:downwardAPI DownwardAPIProjection; 6:podCertificate
  PodCertificateProjection; 1:secret SecretProjection; 4:serviceAccountToken
  ServiceAccountTokenProjection
ClusterTrustBundleProjection: 3:labelSelector LabelSelector; 1:name string; 5:optional bool?;
  4:path* string; 2:signerName string; 6:user int64?
ConfigMapProjection: 2:items [KeyToPath]; 1.1:name string; 4:optional bool?
DownwardAPIProjection: 1:items [DownwardAPIVolumeFile]
PodCertificateProjection: 6:certificateChainPath string; 4:credentialBundlePath string; 5:keyPath
  string; 2:keyType* string; 3:maxExpirationSeconds int32?; 1:signerName* string; 8:user int64?;
  7:userAnnotations {string}
SecretProjection: 2:items [KeyToPath]; 1.1:name string; 4:optional bool?
ServiceAccountTokenProjection: 1:audience string; 2:expirationSeconds int64? =3600; 3:path*
  string; 4:user int64?
QuobyteVolumeSource: 5:group string; 3:readOnly bool; 1:registry* string; 6:tenant string; 4:user
  string; 2:volume* string
RBDVolumeSource: 3:fsType string; 2:image* string; 6:keyring string; 1:monitors* [string]; 4:pool
  string; 8:readOnly bool; 7:secretRef LocalObjectReference; 5:user string
ScaleIOVolumeSource: 9:fsType string; 1:gateway* string; 5:protectionDomain string; 10:readOnly
  bool; 3:secretRef* LocalObjectReference; 4:sslEnabled bool; 7:storageMode string; 6:storagePool
  string; 2:system* string; 8:volumeName string
SecretVolumeSource: 3:defaultMode int32? =420; 5:defaultUser int64?; 2:items [KeyToPath];
  4:optional bool?; 1:secretName string
StorageOSVolumeSource: 3:fsType string; 4:readOnly bool; 5:secretRef LocalObjectReference;
  1:volumeName string; 2:volumeNamespace string
VsphereVirtualDiskVolumeSource: 2:fsType string; 4:storagePolicyID string; 3:storagePolicyName
  string; 1:volumePath* string
PodStatus: 19:allocatedResources {quantity}; 2:conditions [PodCondition] ~type #;
  8:containerStatuses [ContainerStatus]; 13:ephemeralContainerStatuses [ContainerStatus];
  18:extendedResourceClaimStatus PodExtendedResourceClaimStatus; 5:hostIP string; 16:hostIPs
  [HostIP] ~ip; 10:initContainerStatuses [ContainerStatus]; 3:message string;
  21:nodeAllocatableResourceClaimStatuses [NodeAllocatableResourceClaimStatus] ~resourceClaimName
  #; 11:nominatedNodeName string; 17:observedGeneration int64; 1:phase
  (Pending|Running|Succeeded|Failed|Unknown); 6:podIP string; 12:podIPs [PodIP] ~ip #; 9:qosClass
  string; 4:reason string; 14:resize string; 15:resourceClaimStatuses [PodResourceClaimStatus]
  ~name retain #; 20:resources ResourceRequirements; 7:startTime time; 22:volumeHealth
  [PodVolumeHealth] #name
PodCondition: 3:lastProbeTime time; 4:lastTransitionTime time; 6:message string;
  7:observedGeneration int64; 5:reason string; 2:status string; 1:type string
ContainerStatus: 10:allocatedResources {quantity}; 14:allocatedResourcesStatus [ResourceStatus]
  ~name #; 8:containerID string; 6:image string; 7:imageID string; 3:lastState ContainerState!;
  1:name string; 4:ready bool; 11:resources ResourceRequirements; 5:restartCount int32; 9:started
  bool?; 2:state ContainerState!; 15:stopSignal string; 13:user ContainerUser; 12:volumeMounts
  [VolumeMountStatus] ~mountPath #
ResourceStatus: 1:name string; 2:resources [ResourceHealth] #resourceID
ResourceHealth: 2:health string; 6:message string; 1:resourceID* string
ContainerState: 2:running ContainerStateRunning; 3:terminated ContainerStateTerminated; 1:waiting
  ContainerStateWaiting
ContainerStateRunning: 1:startedAt time
ContainerStateTerminated: 7:containerID string; 1:exitCode int32; 6:finishedAt time; 4:message
  string; 3:reason string; 2:signal int32; 5:startedAt time
ContainerStateWaiting: 2:message string; 1:reason string
ContainerUser: 1:linux LinuxContainerUser
LinuxContainerUser: 2:gid* int64; 3:supplementalGroups [int64]; 1:uid* int64
VolumeMountStatus: 2:mountPath string; 1:name string; 3:readOnly bool; 4:recursiveReadOnly string;
  5:volumeStatus VolumeStatus
VolumeStatus: 1:image ImageVolumeStatus
ImageVolumeStatus: 1:imageRef string
PodExtendedResourceClaimStatus: 1:requestMappings [ContainerExtendedResourceRequest];
  2:resourceClaimName string
ContainerExtendedResourceRequest: 1:containerName* string; 3:requestName* string; 2:resourceName*
  string
HostIP: 1:ip* string
NodeAllocatableResourceClaimStatus: 2:containers [string] set; 4:mapping
  [NodeAllocatableMappedResources] ~name #; 5:overhead [NodeAllocatableOverheadResources] ~name #;
  1:resourceClaimName string
NodeAllocatableMappedResources: 1:name* string; 2:quantity* quantity
NodeAllocatableOverheadResources: 1:name* string; 3:perContainer quantity; 2:perPod quantity
PodIP: 1:ip* string
PodResourceClaimStatus: 1:name string; 2:resourceClaimName string
PodVolumeHealth: 2:healthConditions [any]; 3:lastTransitionTime time; 1:name* string
`;
