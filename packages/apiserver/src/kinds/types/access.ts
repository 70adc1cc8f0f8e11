/** Tokens, reviews and roles. The notation is that of `parseTypes`. */
export const ACCESS_TYPES: string = `
TokenRequest: 1:metadata ObjectMeta; 2:spec TokenRequestSpec!; 3:status TokenRequestStatus!
TokenRequestSpec: 5:attestations {[string]}; 1:audiences [string]; 3:boundObjectRef
  BoundObjectReference; 4:expirationSeconds int64? =3600
BoundObjectReference: 2:apiVersion string; 1:kind string; 3:name string; 4:uid string
TokenRequestStatus: 2:expirationTimestamp time; 1:token string
TokenReview: 1:metadata ObjectMeta; 2:spec* TokenReviewSpec!; 3:status TokenReviewStatus!
TokenReviewSpec: 2:audiences [string]; 1:token* string
TokenReviewStatus: 4:audiences [string]; 1:authenticated bool; 3:error string; 2:user UserInfo!
UserInfo: 4:extra {[string]}; 3:groups [string]; 2:uid string; 1:username string
SelfSubjectReview: 1:metadata ObjectMeta; 2:status SelfSubjectReviewStatus!
SelfSubjectReviewStatus: 1:userInfo UserInfo!
SelfSubjectAccessReview: 1:metadata ObjectMeta; 2:spec* SelfSubjectAccessReviewSpec!; 3:status
  SubjectAccessReviewStatus!
SelfSubjectAccessReviewSpec: 2:nonResourceAttributes NonResourceAttributes; 1:resourceAttributes
  ResourceAttributes
NonResourceAttributes: 1:path string; 2:verb string
ResourceAttributes: 8:fieldSelector FieldSelectorAttributes; 3:group string; 9:labelSelector
  LabelSelectorAttributes; 7:name string; 1:namespace string; 5:resource string; 6:subresource
  string; 2:verb string; 4:version string
FieldSelectorAttributes: 1:rawSelector string; 2:requirements [FieldSelectorRequirement]
LabelSelectorAttributes: 1:rawSelector string; 2:requirements [LabelSelectorRequirement]
SubjectAccessReviewStatus: 1:allowed bool; 4:denied bool; 3:evaluationError string; 2:reason
  string
SubjectAccessReview: 1:metadata ObjectMeta; 2:spec* SubjectAccessReviewSpec!; 3:status
  SubjectAccessReviewStatus!
SubjectAccessReviewSpec: 5:extra {[string]}; 4:groups [string]; 2:nonResourceAttributes
  NonResourceAttributes; 1:resourceAttributes ResourceAttributes; 6:uid string; 3:user string
LocalSubjectAccessReview: 1:metadata ObjectMeta; 2:spec* SubjectAccessReviewSpec!; 3:status
  SubjectAccessReviewStatus!
SelfSubjectRulesReview: 1:metadata ObjectMeta; 2:spec* SelfSubjectRulesReviewSpec!; 3:status
  SubjectRulesReviewStatus!
SelfSubjectRulesReviewSpec: 1:namespace string
SubjectRulesReviewStatus: 4:evaluationError string; 3:incomplete bool; 2:nonResourceRules
  [NonResourceRule]; 1:resourceRules [ResourceRule]
NonResourceRule: 2:nonResourceURLs [string]; 1:verbs* [string]
ResourceRule: 2:apiGroups [string]; 4:resourceNames [string]; 3:resources [string]; 1:verbs*
  [string]
ClusterRole: 3:aggregationRule AggregationRule; 1:metadata ObjectMeta; 2:rules [PolicyRule]
AggregationRule: 1:clusterRoleSelectors [LabelSelector]
PolicyRule: 2:apiGroups [string]; 5:nonResourceURLs [string]; 4:resourceNames [string];
  3:resources [string]; 1:verbs* [string]
ClusterRoleBinding: 1:metadata ObjectMeta; 3:roleRef* RoleRef!; 2:subjects [Subject]
RoleRef(atomic): 1:apiGroup string; 2:kind* string; 3:name* string
Subject(atomic): 2:apiGroup string; 1:kind* string; 3:name* string; 4:namespace string
Role: 1:metadata ObjectMeta; 2:rules [PolicyRule]
RoleBinding: 1:metadata ObjectMeta; 3:roleRef* RoleRef!; 2:subjects [Subject]
`;
