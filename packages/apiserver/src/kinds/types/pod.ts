/** Pods, down to their volumes. The notation is that of `parseTypes`. */
export const POD_TYPES: string = `
Pod: metadata ObjectMeta; spec PodSpec; status PodStatus
PodSpec: activeDeadlineSeconds int64; affinity Affinity; automountServiceAccountToken bool;
  containers* [Container] ~name #; dnsConfig PodDNSConfig; dnsPolicy
  (ClusterFirst|ClusterFirstWithHostNet|Default|None) =ClusterFirst; enableServiceLinks bool
  =true; ephemeralContainers [EphemeralContainer] ~name #; evictionResponders [EvictionResponder]
  ~name #; hostAliases [HostAlias] ~ip #; hostIPC bool; hostNetwork bool; hostPID bool; hostUsers
  bool; hostname string; hostnameOverride string; imagePullSecrets [LocalObjectReference] ~name #;
  initContainers [Container] ~name #; nodeName string; nodeSelector {string}; os PodOS; overhead
  {quantity}; preemptionPolicy string; priority int32; priorityClassName string; readinessGates
  [PodReadinessGate]; resourceClaims [PodResourceClaim] ~name retain #; resources
  ResourceRequirements; restartPolicy (Always|OnFailure|Never) =Always; runtimeClassName string;
  schedulerName string =default-scheduler; schedulingGates [PodSchedulingGate] ~name #;
  schedulingGroup PodSchedulingGroup; securityContext PodSecurityContext ={}; serviceAccount
  string; serviceAccountName string; setHostnameAsFQDN bool; shareProcessNamespace bool; subdomain
  string; terminationGracePeriodSeconds int64 =30; tolerations [Toleration];
  topologySpreadConstraints [TopologySpreadConstraint] ~topologyKey
  #topologyKey,whenUnsatisfiable; volumes [Volume] ~name retain #
Affinity: nodeAffinity NodeAffinity; podAffinity PodAffinity; podAntiAffinity PodAntiAffinity
NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm];
  requiredDuringSchedulingIgnoredDuringExecution NodeSelector
PreferredSchedulingTerm: preference* NodeSelectorTerm; weight* int32
NodeSelectorTerm: matchExpressions [NodeSelectorRequirement]; matchFields
  [NodeSelectorRequirement]
NodeSelectorRequirement: key* string; operator* string; values [string]
NodeSelector: nodeSelectorTerms* [NodeSelectorTerm]
PodAffinity: preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm];
  requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm]
WeightedPodAffinityTerm: podAffinityTerm* PodAffinityTerm; weight* int32
PodAffinityTerm: labelSelector LabelSelector; matchLabelKeys [string]; mismatchLabelKeys [string];
  namespaceSelector LabelSelector; namespaces [string]; topologyKey* string
PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm];
  requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm]
Container: args [string]; command [string]; env [EnvVar] ~name #; envFrom [EnvFromSource]; image
  string; imagePullPolicy (Always|Never|IfNotPresent); lifecycle Lifecycle; livenessProbe Probe;
  name* string; ports [ContainerPort] ~containerPort #containerPort,protocol; readinessProbe
  Probe; resizePolicy [ContainerResizePolicy]; resources ResourceRequirements ={}; restartPolicy
  string; restartPolicyRules [ContainerRestartRule]; securityContext SecurityContext; startupProbe
  Probe; stdin bool; stdinOnce bool; terminationMessagePath string =/dev/termination-log;
  terminationMessagePolicy (File|FallbackToLogsOnError) =File; tty bool; volumeDevices
  [VolumeDevice] ~devicePath #; volumeMounts [VolumeMount] ~mountPath #; workingDir string
EnvVar: name* string; value string; valueFrom EnvVarSource
EnvVarSource: configMapKeyRef ConfigMapKeySelector; fieldRef ObjectFieldSelector; fileKeyRef
  FileKeySelector; resourceFieldRef ResourceFieldSelector; secretKeyRef SecretKeySelector
ConfigMapKeySelector: key* string; name string; optional bool
ObjectFieldSelector: apiVersion string =v1; fieldPath* string
FileKeySelector: key* string; optional bool; path* string; volumeName* string
ResourceFieldSelector: containerName string; divisor quantity; resource* string
SecretKeySelector: key* string; name string; optional bool
EnvFromSource: configMapRef ConfigMapEnvSource; prefix string; secretRef SecretEnvSource
ConfigMapEnvSource: name string; optional bool
SecretEnvSource: name string; optional bool
Lifecycle: postStart LifecycleHandler; preStop LifecycleHandler; stopSignal string
LifecycleHandler: exec ExecAction; httpGet HTTPGetAction; sleep SleepAction; tcpSocket
  TCPSocketAction
ExecAction: command [string]
HTTPGetAction: host string; httpHeaders [HTTPHeader]; path string; port* int-or-string; protocol
  string; scheme (HTTP|HTTPS) =HTTP
HTTPHeader: name* string; value* string
SleepAction: seconds* int64
TCPSocketAction: host string; port* int-or-string
Probe: exec ExecAction; failureThreshold int32 =3; grpc GRPCAction; httpGet HTTPGetAction;
  initialDelaySeconds int32; periodSeconds int32 =10; successThreshold int32 =1; tcpSocket
  TCPSocketAction; terminationGracePeriodSeconds int64; timeoutSeconds int32 =1
GRPCAction: mode string; port* int32; service string
ContainerPort: containerPort* int32; hostIP string; hostPort int32; name string; protocol
  (TCP|UDP|SCTP) =TCP
ContainerResizePolicy: resourceName* string; restartPolicy* string
ResourceRequirements: claims [ResourceClaim] #name; limits {quantity}; requests {quantity}
ResourceClaim: name* string; request string
ContainerRestartRule: action* string; exitCodes ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: operator* string; values [int32] set
SecurityContext: allowPrivilegeEscalation bool; appArmorProfile AppArmorProfile; capabilities
  Capabilities; privileged bool; procMount string; readOnlyRootFilesystem bool; runAsGroup int64;
  runAsNonRoot bool; runAsUser int64; seLinuxOptions SELinuxOptions; seccompProfile
  SeccompProfile; windowsOptions WindowsSecurityContextOptions
AppArmorProfile: localhostProfile string; type* string
Capabilities: add [string]; drop [string]
SELinuxOptions: level string; role string; type string; user string
SeccompProfile: localhostProfile string; type* string
WindowsSecurityContextOptions: gmsaCredentialSpec string; gmsaCredentialSpecName string;
  hostProcess bool; runAsUserName string
VolumeDevice: devicePath* string; name* string
VolumeMount: bindMountOptions [string] set; mountPath* string; mountPropagation string; name*
  string; readOnly bool; recursiveReadOnly string; subPath string; subPathExpr string
PodDNSConfig: nameservers [string]; options [PodDNSConfigOption]; searches [string]
PodDNSConfigOption: name string; value string
EphemeralContainer: args [string]; command [string]; env [EnvVar] ~name #; envFrom
  [EnvFromSource]; image string; imagePullPolicy string; lifecycle Lifecycle; livenessProbe Probe;
  name* string; ports [ContainerPort] ~containerPort #containerPort,protocol; readinessProbe
  Probe; resizePolicy [ContainerResizePolicy]; resources ResourceRequirements ={}; restartPolicy
  string; restartPolicyRules [ContainerRestartRule]; securityContext SecurityContext; startupProbe
  Probe; stdin bool; stdinOnce bool; targetContainerName string; terminationMessagePath string
  =/dev/termination-log; terminationMessagePolicy string =File; tty bool; volumeDevices
  [VolumeDevice] ~devicePath #; volumeMounts [VolumeMount] ~mountPath #; workingDir string
EvictionResponder: name* string; priority* int32
HostAlias: hostnames [string]; ip* string
LocalObjectReference: name string
PodOS: name* string
PodReadinessGate: conditionType* string
PodResourceClaim: name* string; resourceClaimName string; resourceClaimTemplateName string
PodSchedulingGate: name* string
PodSchedulingGroup: podGroupName string
PodSecurityContext: appArmorProfile AppArmorProfile; fsGroup int64; fsGroupChangePolicy string;
  runAsGroup int64; runAsNonRoot bool; runAsUser int64; seLinuxChangePolicy string; seLinuxOptions
  SELinuxOptions; seccompProfile SeccompProfile; supplementalGroups [int64];
  supplementalGroupsPolicy string; sysctls [Sysctl]; windowsOptions WindowsSecurityContextOptions
Sysctl: name* string; value* string
Toleration: effect string; key string; operator string; tolerationSeconds int64; value string
TopologySpreadConstraint: labelSelector LabelSelector; matchLabelKeys [string]; maxSkew* int32;
  minDomains int32; nodeAffinityPolicy string; nodeTaintsPolicy string; topologyKey* string;
  whenUnsatisfiable* string
Volume: awsElasticBlockStore AWSElasticBlockStoreVolumeSource; azureDisk AzureDiskVolumeSource;
  azureFile AzureFileVolumeSource; cephfs CephFSVolumeSource; cinder CinderVolumeSource; configMap
  ConfigMapVolumeSource; csi CSIVolumeSource; downwardAPI DownwardAPIVolumeSource; emptyDir
  EmptyDirVolumeSource; ephemeral EphemeralVolumeSource; fc FCVolumeSource; flexVolume
  FlexVolumeSource; flocker FlockerVolumeSource; gcePersistentDisk GCEPersistentDiskVolumeSource;
  gitRepo GitRepoVolumeSource; glusterfs GlusterfsVolumeSource; hostPath HostPathVolumeSource;
  image ImageVolumeSource; iscsi ISCSIVolumeSource; name* string; nfs NFSVolumeSource;
  persistentVolumeClaim PersistentVolumeClaimVolumeSource; photonPersistentDisk
  PhotonPersistentDiskVolumeSource; portworxVolume PortworxVolumeSource; projected
  ProjectedVolumeSource; quobyte QuobyteVolumeSource; rbd RBDVolumeSource; scaleIO
  ScaleIOVolumeSource; secret SecretVolumeSource; storageos StorageOSVolumeSource; vsphereVolume
  VsphereVirtualDiskVolumeSource
AWSElasticBlockStoreVolumeSource: fsType string; partition int32; readOnly bool; volumeID* string
AzureDiskVolumeSource: cachingMode string; diskName* string; diskURI* string; fsType string; kind
  string; readOnly bool
AzureFileVolumeSource: readOnly bool; secretName* string; shareName* string
CephFSVolumeSource: monitors* [string]; path string; readOnly bool; secretFile string; secretRef
  LocalObjectReference; user string
CinderVolumeSource: fsType string; readOnly bool; secretRef LocalObjectReference; volumeID* string
ConfigMapVolumeSource: defaultMode int32 =420; defaultUser int64; items [KeyToPath]; name string;
  optional bool
KeyToPath: key* string; mode int32; path* string; user int64
CSIVolumeSource: driver* string; fsType string; nodePublishSecretRef LocalObjectReference;
  readOnly bool; volumeAttributes {string}
DownwardAPIVolumeSource: defaultMode int32 =420; defaultUser int64; items [DownwardAPIVolumeFile]
DownwardAPIVolumeFile: fieldRef ObjectFieldSelector; mode int32; path* string; resourceFieldRef
  ResourceFieldSelector; user int64
EmptyDirVolumeSource: medium string; mode int32; sizeLimit quantity
EphemeralVolumeSource: volumeClaimTemplate any
TypedLocalObjectReference: apiGroup string; kind* string; name* string
FCVolumeSource: fsType string; lun int32; readOnly bool; targetWWNs [string]; wwids [string]
FlexVolumeSource: driver* string; fsType string; options {string}; readOnly bool; secretRef
  LocalObjectReference
FlockerVolumeSource: datasetName string; datasetUUID string
GCEPersistentDiskVolumeSource: fsType string; partition int32; pdName* string; readOnly bool
GitRepoVolumeSource: directory string; repository* string; revision string
GlusterfsVolumeSource: endpoints* string; path* string; readOnly bool
HostPathVolumeSource: path* string; type string =
ImageVolumeSource: pullPolicy string; reference string
ISCSIVolumeSource: chapAuthDiscovery bool; chapAuthSession bool; fsType string; initiatorName
  string; iqn* string; iscsiInterface string; lun* int32; portals [string]; readOnly bool;
  secretRef LocalObjectReference; targetPortal* string
NFSVolumeSource: path* string; readOnly bool; server* string
PersistentVolumeClaimVolumeSource: claimName* string; readOnly bool
PhotonPersistentDiskVolumeSource: fsType string; pdID* string
PortworxVolumeSource: fsType string; readOnly bool; volumeID* string
ProjectedVolumeSource: defaultMode int32 =420; defaultUser int64; sources [VolumeProjection]
VolumeProjection: clusterTrustBundle ClusterTrustBundleProjection; configMap ConfigMapProjection;
  downwardAPI DownwardAPIProjection; podCertificate PodCertificateProjection; secret
  SecretProjection; serviceAccountToken ServiceAccountTokenProjection
ClusterTrustBundleProjection: labelSelector LabelSelector; name string; optional bool; path*
  string; signerName string; user int64
ConfigMapProjection: items [KeyToPath]; name string; optional bool
DownwardAPIProjection: items [DownwardAPIVolumeFile]
PodCertificateProjection: certificateChainPath string; credentialBundlePath string; keyPath
  string; keyType* string; maxExpirationSeconds int32; signerName* string; user int64;
  userAnnotations {string}
SecretProjection: items [KeyToPath]; name string; optional bool
ServiceAccountTokenProjection: audience string; expirationSeconds int64 =3600; path* string; user
  int64
QuobyteVolumeSource: group string; readOnly bool; registry* string; tenant string; user string;
  volume* string
RBDVolumeSource: fsType string; image* string; keyring string; monitors* [string]; pool string;
  readOnly bool; secretRef LocalObjectReference; user string
ScaleIOVolumeSource: fsType string; gateway* string; protectionDomain string; readOnly bool;
  secretRef* LocalObjectReference; sslEnabled bool; storageMode string; storagePool string;
  system* string; volumeName string
SecretVolumeSource: defaultMode int32 =420; defaultUser int64; items [KeyToPath]; optional bool;
  secretName string
StorageOSVolumeSource: fsType string; readOnly bool; secretRef LocalObjectReference; volumeName
  string; volumeNamespace string
VsphereVirtualDiskVolumeSource: fsType string; storagePolicyID string; storagePolicyName string;
  volumePath* string
PodStatus: allocatedResources {quantity}; conditions [PodCondition] ~type #; containerStatuses
  [ContainerStatus]; ephemeralContainerStatuses [ContainerStatus]; extendedResourceClaimStatus
  PodExtendedResourceClaimStatus; hostIP string; hostIPs [HostIP] ~ip; initContainerStatuses
  [ContainerStatus]; message string; nodeAllocatableResourceClaimStatuses
  [NodeAllocatableResourceClaimStatus] ~resourceClaimName #; nominatedNodeName string;
  observedGeneration int64; phase (Pending|Running|Succeeded|Failed|Unknown); podIP string; podIPs
  [PodIP] ~ip #; qosClass string; reason string; resize string; resourceClaimStatuses
  [PodResourceClaimStatus] ~name retain #; resources ResourceRequirements; startTime time;
  volumeHealth [PodVolumeHealth] #name
PodCondition: lastProbeTime time; lastTransitionTime time; message string; observedGeneration
  int64; reason string; status string; type string
ContainerStatus: allocatedResources {quantity}; allocatedResourcesStatus [ResourceStatus] ~name #;
  containerID string; image string; imageID string; lastState ContainerState; name string; ready
  bool; resources ResourceRequirements; restartCount int32; started bool; state ContainerState;
  stopSignal string; user ContainerUser; volumeMounts [VolumeMountStatus] ~mountPath #
ResourceStatus: name string; resources [ResourceHealth] #resourceID
ResourceHealth: health string; message string; resourceID* string
ContainerState: running ContainerStateRunning; terminated ContainerStateTerminated; waiting
  ContainerStateWaiting
ContainerStateRunning: startedAt time
ContainerStateTerminated: containerID string; exitCode int32; finishedAt time; message string;
  reason string; signal int32; startedAt time
ContainerStateWaiting: message string; reason string
ContainerUser: linux LinuxContainerUser
LinuxContainerUser: gid* int64; supplementalGroups [int64]; uid* int64
VolumeMountStatus: mountPath string; name string; readOnly bool; recursiveReadOnly string;
  volumeStatus VolumeStatus
VolumeStatus: image ImageVolumeStatus
ImageVolumeStatus: imageRef string
PodExtendedResourceClaimStatus: requestMappings [ContainerExtendedResourceRequest];
  resourceClaimName string
ContainerExtendedResourceRequest: containerName* string; requestName* string; resourceName* string
HostIP: ip* string
NodeAllocatableResourceClaimStatus: containers [string] set; mapping
  [NodeAllocatableMappedResources] ~name #; overhead [NodeAllocatableOverheadResources] ~name #;
  resourceClaimName string
NodeAllocatableMappedResources: name* string; quantity* quantity
NodeAllocatableOverheadResources: name* string; perContainer quantity; perPod quantity
PodIP: ip* string
PodResourceClaimStatus: name string; resourceClaimName string
PodVolumeHealth: healthConditions [any]; lastTransitionTime time; name* string
`;
