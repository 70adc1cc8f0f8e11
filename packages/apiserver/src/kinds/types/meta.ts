/** What all objects share. The notation is that of `parseTypes`. */
export const META_TYPES: string = `
ObjectMeta: annotations {string}; creationTimestamp time; deletionGracePeriodSeconds int64;
  deletionTimestamp time; finalizers [string] ~ set; generateName string; generation int64; labels
  {string}; managedFields [ManagedFieldsEntry]; name string; namespace string; ownerReferences
  [OwnerReference] ~uid #; resourceVersion string; selfLink string; uid string
ManagedFieldsEntry: apiVersion string; fieldsType string; fieldsV1 any; manager string; operation
  string; subresource string; time time
OwnerReference: apiVersion* string; blockOwnerDeletion bool; controller bool; kind* string; name*
  string; uid* string
Condition: lastTransitionTime time; message string; observedGeneration int64; reason string;
  status string; type string
LabelSelector: matchExpressions [LabelSelectorRequirement]; matchLabels {string}
LabelSelectorRequirement: key* string; operator* (In|NotIn|Exists|DoesNotExist); values [string]
FieldSelectorRequirement: key* string; operator* string; values [string]
`;
