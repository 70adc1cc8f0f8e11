/** What all objects share. The notation is that of `parseTypes`. */
export const META_TYPES: string = `
ObjectMeta: 12:annotations {string}; 8:creationTimestamp time; 10:deletionGracePeriodSeconds
  int64?; 9:deletionTimestamp time; 14:finalizers [string] ~ set; 2:generateName string;
  7:generation int64; 11:labels {string}; 17:managedFields [ManagedFieldsEntry]; 1:name string;
  3:namespace string; 13:ownerReferences [OwnerReference] ~uid #; 6:resourceVersion string;
  4:selfLink string; 5:uid string
ManagedFieldsEntry: 3:apiVersion string; 6:fieldsType string; 7:fieldsV1 json; 1:manager string;
  2:operation string; 8:subresource string; 4:time time
OwnerReference(atomic): 5:apiVersion* string; 7:blockOwnerDeletion bool?; 6:controller bool?;
  1:kind* string; 3:name* string; 4:uid* string
Condition: 4:lastTransitionTime time; 6:message string; 3:observedGeneration int64; 5:reason
  string; 2:status string; 1:type string
LabelSelector(atomic): 2:matchExpressions [LabelSelectorRequirement]; 1:matchLabels {string}
LabelSelectorRequirement: 1:key* string; 2:operator* (In|NotIn|Exists|DoesNotExist); 3:values
  [string]
FieldSelectorRequirement: 1:key* string; 2:operator* string; 3:values [string]
DeleteOptions: apiVersion string; 5:dryRun [string]; 1:gracePeriodSeconds int64?; kind string;
  3:orphanDependents bool?; 2:preconditions Preconditions; 4:propagationPolicy string
Preconditions: 2:resourceVersion string; 1:uid string
`;
