/** What makes pods: apps, batch; and what guards them. The notation is that of `parseTypes`. */
export const WORKLOAD_TYPES: string = `
ReplicaSet: 1:metadata ObjectMeta; 2:spec* ReplicaSetSpec!; 3:status ReplicaSetStatus!
ReplicaSetSpec: 4:minReadySeconds int32; 1:replicas int32? =1; 2:selector* LabelSelector;
  3:template PodTemplateSpec!
ReplicaSetStatus: 5:availableReplicas int32; 6:conditions [ReplicaSetCondition] ~type #;
  2:fullyLabeledReplicas int32; 3:observedGeneration int64; 4:readyReplicas int32; 1:replicas
  int32; 7:terminatingReplicas int32?
ReplicaSetCondition: 3:lastTransitionTime time; 5:message string; 4:reason string; 2:status
  string; 1:type string
Deployment: 1:metadata ObjectMeta; 2:spec* DeploymentSpec!; 3:status DeploymentStatus!
DeploymentSpec: 5:minReadySeconds int32; 7:paused bool; 9:progressDeadlineSeconds int32? =600;
  1:replicas int32? =1; 6:revisionHistoryLimit int32? =10; 2:selector* LabelSelector; 4:strategy
  DeploymentStrategy! retain; 3:template* PodTemplateSpec!
DeploymentStrategy: 2:rollingUpdate RollingUpdateDeployment; 1:type string
RollingUpdateDeployment: 2:maxSurge int-or-string; 1:maxUnavailable int-or-string
DeploymentStatus: 4:availableReplicas int32; 8:collisionCount int32?; 6:conditions
  [DeploymentCondition] ~type #; 1:observedGeneration int64; 7:readyReplicas int32; 2:replicas
  int32; 9:terminatingReplicas int32?; 5:unavailableReplicas int32; 3:updatedReplicas int32
DeploymentCondition: 7:lastTransitionTime time; 6:lastUpdateTime time; 5:message string; 4:reason
  string; 2:status string; 1:type string
StatefulSet: 1:metadata ObjectMeta; 2:spec StatefulSetSpec!; 3:status StatefulSetStatus!
StatefulSetSpec: 9:minReadySeconds int32; 11:ordinals StatefulSetOrdinals;
  10:persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy;
  6:podManagementPolicy string =OrderedReady; 1:replicas int32? =1; 8:revisionHistoryLimit int32?
  =10; 2:selector LabelSelector; 5:serviceName string; 3:template PodTemplateSpec!;
  7:updateStrategy StatefulSetUpdateStrategy!; 4:volumeClaimTemplates [any]
StatefulSetOrdinals: 1:start int32
StatefulSetPersistentVolumeClaimRetentionPolicy: 1:whenDeleted string; 2:whenScaled string
StatefulSetUpdateStrategy: 2:rollingUpdate RollingUpdateStatefulSetStrategy; 1:type string
RollingUpdateStatefulSetStrategy: 2:maxUnavailable int-or-string; 1:partition int32?
StatefulSetStatus: 11:availableReplicas int32; 9:collisionCount int32?; 10:conditions
  [StatefulSetCondition] ~type #; 4:currentReplicas int32; 6:currentRevision string;
  1:observedGeneration int64; 3:readyReplicas int32; 2:replicas int32; 7:updateRevision string;
  5:updatedReplicas int32
StatefulSetCondition: 3:lastTransitionTime time; 5:message string; 4:reason string; 2:status
  string; 1:type string
DaemonSet: 1:metadata ObjectMeta; 2:spec* DaemonSetSpec!; 3:status DaemonSetStatus!
DaemonSetSpec: 4:minReadySeconds int32; 6:revisionHistoryLimit int32? =10; 1:selector*
  LabelSelector; 2:template* PodTemplateSpec!; 3:updateStrategy DaemonSetUpdateStrategy!
DaemonSetUpdateStrategy: 2:rollingUpdate RollingUpdateDaemonSet; 1:type string
RollingUpdateDaemonSet: 2:maxSurge int-or-string; 1:maxUnavailable int-or-string
DaemonSetStatus: 9:collisionCount int32?; 10:conditions [DaemonSetCondition] ~type #;
  1:currentNumberScheduled int32; 3:desiredNumberScheduled int32; 7:numberAvailable int32;
  2:numberMisscheduled int32; 4:numberReady int32; 8:numberUnavailable int32; 5:observedGeneration
  int64; 6:updatedNumberScheduled int32
DaemonSetCondition: 3:lastTransitionTime time; 5:message string; 4:reason string; 2:status string;
  1:type string
Job: 1:metadata ObjectMeta; 2:spec JobSpec!; 3:status JobStatus!
JobSpec: 3:activeDeadlineSeconds int64?; 7:backoffLimit int32? =6; 12:backoffLimitPerIndex int32?;
  9:completionMode (NonIndexed|Indexed) =NonIndexed; 2:completions int32?; 15:managedBy string;
  5:manualSelector bool?; 13:maxFailedIndexes int32?; 1:parallelism int32? =1; 11:podFailurePolicy
  PodFailurePolicy; 14:podReplacementPolicy string; 17:scheduling any; 4:selector LabelSelector;
  16:successPolicy SuccessPolicy; 10:suspend bool? =false; 6:template* PodTemplateSpec!;
  8:ttlSecondsAfterFinished int32?
PodFailurePolicy: 1:rules* [PodFailurePolicyRule]
PodFailurePolicyRule: 1:action* string; 2:onExitCodes PodFailurePolicyOnExitCodesRequirement;
  3:onPodConditions [PodFailurePolicyOnPodConditionsPattern]
PodFailurePolicyOnExitCodesRequirement: 1:containerName string; 2:operator* string; 3:values*
  [int32]! set
PodFailurePolicyOnPodConditionsPattern: 2:status string; 1:type* string
SuccessPolicy: 1:rules* [SuccessPolicyRule]
SuccessPolicyRule: 2:succeededCount int32?; 1:succeededIndexes string
JobStatus: 4:active int32; 7:completedIndexes string; 3:completionTime time; 1:conditions
  [JobCondition] ~type; 6:failed int32; 10:failedIndexes string; 9:ready int32?; 2:startTime time;
  5:succeeded int32; 11:terminating int32?; 8:uncountedTerminatedPods UncountedTerminatedPods
JobCondition: 3:lastProbeTime time; 4:lastTransitionTime time; 6:message string; 5:reason string;
  2:status string; 1:type string
UncountedTerminatedPods: 2:failed [string] set; 1:succeeded [string] set
CronJob: 1:metadata ObjectMeta; 2:spec* CronJobSpec!; 3:status CronJobStatus!
CronJobSpec: 3:concurrencyPolicy (Allow|Forbid|Replace) =Allow; 7:failedJobsHistoryLimit int32?
  =1; 5:jobTemplate* JobTemplateSpec!; 1:schedule* string; 2:startingDeadlineSeconds int64?;
  6:successfulJobsHistoryLimit int32? =3; 4:suspend bool? =false; 8:timeZone string
JobTemplateSpec: 1:metadata ObjectMeta!; 2:spec JobSpec!
CronJobStatus: 1:active [ObjectReference]; 4:lastScheduleTime time; 5:lastSuccessfulTime time
Scale: 1:metadata ObjectMeta; 2:spec ScaleSpec; 3:status ScaleStatus
ScaleSpec: 1:replicas int32
ScaleStatus: 1:replicas int32; 2:selector string
PodDisruptionBudget: 1:metadata ObjectMeta; 2:spec PodDisruptionBudgetSpec!; 3:status
  PodDisruptionBudgetStatus!
PodDisruptionBudgetSpec: 3:maxUnavailable int-or-string; 1:minAvailable int-or-string; 2:selector
  LabelSelector; 4:unhealthyPodEvictionPolicy string
PodDisruptionBudgetStatus: 7:conditions [Condition] ~type #; 4:currentHealthy int32;
  5:desiredHealthy int32; 2:disruptedPods {time}; 3:disruptionsAllowed int32; 6:expectedPods
  int32; 1:observedGeneration int64
`;
