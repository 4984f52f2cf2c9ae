// Who asks: one identity for the job, one for the function app. No secret belongs to either.
param location string
param tags object
param runnerName string
param dispatcherName string

resource runner 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: runnerName
  location: location
  tags: tags
}

resource dispatcher 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: dispatcherName
  location: location
  tags: tags
}

output runnerId string = runner.id
output runnerClientId string = runner.properties.clientId
output runnerPrincipalId string = runner.properties.principalId
output dispatcherId string = dispatcher.id
output dispatcherClientId string = dispatcher.properties.clientId
output dispatcherPrincipalId string = dispatcher.properties.principalId
