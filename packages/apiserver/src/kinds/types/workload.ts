/** What makes pods: apps, batch; and what guards them. The notation is that of `parseTypes`. */
export const WORKLOAD_TYPES: string = `
ReplicaSet: metadata ObjectMeta; spec* ReplicaSetSpec; status ReplicaSetStatus
ReplicaSetSpec: minReadySeconds int32; replicas int32 =1; selector* LabelSelector; template
  PodTemplateSpec
ReplicaSetStatus: availableReplicas int32; conditions [ReplicaSetCondition] ~type #;
  fullyLabeledReplicas int32; observedGeneration int64; readyReplicas int32; replicas int32;
  terminatingReplicas int32
ReplicaSetCondition: lastTransitionTime time; message string; reason string; status string; type
  string
Deployment: metadata ObjectMeta; spec* DeploymentSpec; status DeploymentStatus
DeploymentSpec: minReadySeconds int32; paused bool; progressDeadlineSeconds int32 =600; replicas
  int32 =1; revisionHistoryLimit int32 =10; selector* LabelSelector; strategy DeploymentStrategy
  retain; template* PodTemplateSpec
DeploymentStrategy: rollingUpdate RollingUpdateDeployment; type string
RollingUpdateDeployment: maxSurge int-or-string; maxUnavailable int-or-string
DeploymentStatus: availableReplicas int32; collisionCount int32; conditions [DeploymentCondition]
  ~type #; observedGeneration int64; readyReplicas int32; replicas int32; terminatingReplicas
  int32; unavailableReplicas int32; updatedReplicas int32
DeploymentCondition: lastTransitionTime time; lastUpdateTime time; message string; reason string;
  status string; type string
StatefulSet: metadata ObjectMeta; spec StatefulSetSpec; status StatefulSetStatus
StatefulSetSpec: minReadySeconds int32; ordinals StatefulSetOrdinals;
  persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy;
  podManagementPolicy string =OrderedReady; replicas int32 =1; revisionHistoryLimit int32 =10;
  selector LabelSelector; serviceName string; template PodTemplateSpec; updateStrategy
  StatefulSetUpdateStrategy; volumeClaimTemplates [any]
StatefulSetOrdinals: start int32
StatefulSetPersistentVolumeClaimRetentionPolicy: whenDeleted string; whenScaled string
StatefulSetUpdateStrategy: rollingUpdate RollingUpdateStatefulSetStrategy; type string
RollingUpdateStatefulSetStrategy: maxUnavailable int-or-string; partition int32
StatefulSetStatus: availableReplicas int32; collisionCount int32; conditions
  [StatefulSetCondition] ~type #; currentReplicas int32; currentRevision string;
  observedGeneration int64; readyReplicas int32; replicas int32; updateRevision string;
  updatedReplicas int32
StatefulSetCondition: lastTransitionTime time; message string; reason string; status string; type
  string
DaemonSet: metadata ObjectMeta; spec* DaemonSetSpec; status DaemonSetStatus
DaemonSetSpec: minReadySeconds int32; revisionHistoryLimit int32 =10; selector* LabelSelector;
  template* PodTemplateSpec; updateStrategy DaemonSetUpdateStrategy
DaemonSetUpdateStrategy: rollingUpdate RollingUpdateDaemonSet; type string
RollingUpdateDaemonSet: maxSurge int-or-string; maxUnavailable int-or-string
DaemonSetStatus: collisionCount int32; conditions [DaemonSetCondition] ~type #;
  currentNumberScheduled int32; desiredNumberScheduled int32; numberAvailable int32;
  numberMisscheduled int32; numberReady int32; numberUnavailable int32; observedGeneration int64;
  updatedNumberScheduled int32
DaemonSetCondition: lastTransitionTime time; message string; reason string; status string; type
  string
Job: metadata ObjectMeta; spec JobSpec; status JobStatus
JobSpec: activeDeadlineSeconds int64; backoffLimit int32 =6; backoffLimitPerIndex int32;
  completionMode (NonIndexed|Indexed) =NonIndexed; completions int32; managedBy string;
  manualSelector bool; maxFailedIndexes int32; parallelism int32 =1; podFailurePolicy
  PodFailurePolicy; podReplacementPolicy string; scheduling any; selector
  LabelSelector; successPolicy SuccessPolicy; suspend bool =false; template* PodTemplateSpec;
  ttlSecondsAfterFinished int32
PodFailurePolicy: rules* [PodFailurePolicyRule]
PodFailurePolicyRule: action* string; onExitCodes PodFailurePolicyOnExitCodesRequirement;
  onPodConditions [PodFailurePolicyOnPodConditionsPattern]
PodFailurePolicyOnExitCodesRequirement: containerName string; operator* string; values* [int32]
  set
PodFailurePolicyOnPodConditionsPattern: status string; type* string
SuccessPolicy: rules* [SuccessPolicyRule]
SuccessPolicyRule: succeededCount int32; succeededIndexes string
JobStatus: active int32; completedIndexes string; completionTime time; conditions [JobCondition]
  ~type; failed int32; failedIndexes string; ready int32; startTime time; succeeded int32;
  terminating int32; uncountedTerminatedPods UncountedTerminatedPods
JobCondition: lastProbeTime time; lastTransitionTime time; message string; reason string; status
  string; type string
UncountedTerminatedPods: failed [string] set; succeeded [string] set
CronJob: metadata ObjectMeta; spec* CronJobSpec; status CronJobStatus
CronJobSpec: concurrencyPolicy (Allow|Forbid|Replace) =Allow; failedJobsHistoryLimit int32 =1;
  jobTemplate* JobTemplateSpec; schedule* string; startingDeadlineSeconds int64;
  successfulJobsHistoryLimit int32 =3; suspend bool =false; timeZone string
JobTemplateSpec: metadata ObjectMeta; spec JobSpec
CronJobStatus: active [ObjectReference]; lastScheduleTime time; lastSuccessfulTime time
Scale: metadata ObjectMeta; spec ScaleSpec; status ScaleStatus
ScaleSpec: replicas int32
ScaleStatus: replicas int32; selector string
PodDisruptionBudget: metadata ObjectMeta; spec PodDisruptionBudgetSpec; status
  PodDisruptionBudgetStatus
PodDisruptionBudgetSpec: maxUnavailable int-or-string; minAvailable int-or-string; selector
  LabelSelector; unhealthyPodEvictionPolicy string
PodDisruptionBudgetStatus: conditions [Condition] ~type #; currentHealthy int32; desiredHealthy
  int32; disruptedPods {time}; disruptionsAllowed int32; expectedPods int32; observedGeneration
  int64
`;
